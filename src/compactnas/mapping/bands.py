"""Names of bands: which of a file's bands are the network's, whatever their spelling and order."""

from __future__ import annotations

import re
from collections.abc import Sequence

from compactnas.errors import UserError

NUMBERED = re.compile(r"(?<![a-z0-9])b0?(1[0-2]|[1-9]|8a)(?![a-z0-9])", re.IGNORECASE)
"""B02, B2, b8a, `B04 (red)`, `T33UUU_B02_10m`. "Band 2" is no such name: programs that stack bands count with it."""

COMMON = {
    "coastal": "B01",
    "blue": "B02",
    "green": "B03",
    "red": "B04",
    "rededge1": "B05",
    "rededge071": "B05",
    "rededge2": "B06",
    "rededge075": "B06",
    "rededge3": "B07",
    "rededge078": "B07",
    "nir": "B08",
    "nir08": "B8A",
    "narrownir": "B8A",
    "rededge4": "B8A",
    "nir09": "B09",
    "watervapour": "B09",
    "cirrus": "B10",
    "swir16": "B11",
    "swir1": "B11",
    "swir22": "B12",
    "swir2": "B12",
}
"""Common names of Sentinel-2's bands (STAC's `eo` extension, versions 1 and 2, and Earth Search) -> theirs."""


def sentinel_name(name: str) -> str:
    """A Sentinel-2 band's name as `B02`, `B8A`; any other name as it is."""
    numbered = NUMBERED.search(name)
    if numbered:
        return f"B{numbered[1].upper():0>2}"
    return COMMON.get(re.sub(r"[\s_\-]", "", name.lower()), name)


def positions(wanted: Sequence[str], found: Sequence[str], where: str) -> list[int]:
    """Position in a file of each band that a network takes.

    Args:
        wanted: names in the network's order.
        found: names in the file's order; empty for a band without one.
        where: the file, for the error message.

    Errors:
        UserError: a band is missing, or there twice.
    """
    if set(wanted) <= set(found):
        names, asked = list(found), list(wanted)
    else:
        names, asked = [sentinel_name(name) for name in found], [sentinel_name(name) for name in wanted]
    for name in asked:
        if names.count(name) == 1:
            continue
        known = ", ".join(name or "(no name)" for name in found)
        if name in names:
            raise UserError(f"{where}: has band {name} more than once ({known}); name them in order with --bands")
        raise UserError(
            f"{where}: has no band {name}; it has {known}, and the network takes {', '.join(wanted)}; add it, or name "
            "the file's bands in order with --bands"
        )
    return [names.index(name) for name in asked]
