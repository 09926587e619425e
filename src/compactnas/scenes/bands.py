"""Match the bands of a file to those of a network by name, in any common spelling and order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from compactnas.config.reading import Reading
from compactnas.errors import UserError

NUMBERED = re.compile(r"(?<![a-z0-9])b0?(1[0-2]|[1-9]|8a)(?![a-z0-9])", re.IGNORECASE)
"""Matches B02, B2, b8a, `B04 (red)` and `T33UUU_B02_10m`, not "Band 2": programs that stack bands count like this."""

EUROSAT_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B10", "B11", "B12", "B8A")
"""Band order of EuroSAT's Sentinel-2 patches with 13 bands, whose files contain no band names."""
SENTINEL_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""Order of ESA's products, and of `band_id` in their metadata."""
LANDSAT_BANDS = tuple(f"SR_B{number}" for number in range(1, 8))
"""Bands of Landsat 8 and 9 (OLI), Collection 2, surface reflectance; Sentinel-2 has other bands B5 to B7."""

PRESETS = {
    "s2-13": SENTINEL_BANDS,
    "s2-12": tuple(name for name in SENTINEL_BANDS if name != "B10"),
    "s2-10": tuple(name for name in SENTINEL_BANDS if name not in ("B01", "B09", "B10")),
    "eurosat": EUROSAT_BANDS,
    "landsat-7": LANDSAT_BANDS,
}
"""Names of usual band orders: all of Sentinel-2, those of L2A, So2Sat's, EuroSAT's, and the seven of Landsat."""

LANDSAT = re.compile(r"^(?:SR_B[1-7]|L[COTE]0\d_.*)$", re.IGNORECASE)
"""Matches names of Landsat's bands, which are no names of Sentinel-2."""

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
"""Sentinel-2 band of each common name (STAC's `eo` extension, versions 1 and 2, and Earth Search)."""

LETTERS = {"R": "red", "G": "green", "B": "blue"}
"""Common name of each band of an RGB image (`of_patches`)."""


def sentinel_name(name: str) -> str:
    """Convert the name of a Sentinel-2 band, or R, G or B, to the form `B02` or `B8A`; keep any other name."""
    if LANDSAT.match(name):
        return name
    numbered = NUMBERED.search(name)
    if numbered:
        return f"B{numbered[1].upper():0>2}"
    return COMMON.get(LETTERS.get(name, re.sub(r"[\s_\-]", "", name.lower())), name)


def preset(text: str) -> tuple[str, ...]:
    """Names in a list `B02,B03,...`, or of a preset."""
    known = PRESETS.get(text.strip().lower())
    return known or tuple(name.strip() for name in text.split(","))


def positions(wanted: Sequence[str], found: Sequence[str], where: str, reading: Reading) -> list[int]:
    """Find the position in a file of each band that a network takes.

    Args:
        wanted: Names in the network's order.
        found: Names in the file's order; an empty string for a band without a name.
        where: Name of the file, for messages.
        reading: Options for reading, for messages.

    Raises:
        UserError: A band is missing or occurs twice.
    """
    if set(wanted) <= set(found):
        names, asked = list(found), list(wanted)
    else:
        names, asked = [sentinel_name(name) for name in found], [sentinel_name(name) for name in wanted]
    for name, typed in zip(asked, wanted, strict=True):
        if names.count(name) == 1:
            continue
        known, key = ", ".join(name or "(no name)" for name in found), reading.key("bands")
        if name in names:
            raise UserError(f"{where}: has band {name} more than once ({known}); name all in order with {key}")
        if reading.caller == "data":
            raise UserError(
                f"data.bands: {where} has no band {typed}; it has {known}; name one of them, or all in order with {key}"
            )
        raise UserError(
            f"{where}: has no band {name}; it has {known}, and the network takes {', '.join(wanted)}; add it, or name "
            f"the file's bands in order with {key}"
        )
    return [names.index(name) for name in asked]


def band_names(raster: Any) -> tuple[str, ...]:
    """Return the band descriptions; if incomplete, EuroSAT's names for 13 bands, otherwise band1, band2, ..."""
    names = tuple(name or "" for name in raster.descriptions)
    if all(names) and len(set(names)) == len(names):
        return names
    if len(names) == len(EUROSAT_BANDS):
        return EUROSAT_BANDS
    return numbered(len(names))


def numbered(count: int) -> tuple[str, ...]:
    """Name bands that nothing names: band1, band2, ..."""
    return tuple(f"band{number}" for number in range(1, count + 1))


def of_patches(count: int) -> tuple[str, ...]:
    """Name the bands of patches that nothing names: R, G, B if there are three, otherwise band1, band2, ..."""
    return ("R", "G", "B") if count == 3 else numbered(count)
