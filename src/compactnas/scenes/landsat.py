"""Folders of Landsat (Collection 2, surface reflectance) and of HLS, which brings Landsat and Sentinel-2 to 30 m.

Bands of Landsat keep their own names, `SR_B2` to `SR_B7`: B5 is near infrared here, and red edge on Sentinel-2.
Sources: USGS, Landsat 8-9 Collection 2 Level 2 Science Product Guide (LSDS-1619), 5.1 and 6; NASA, HLS Product User
Guide 2.0, tables 4, 9 and 10.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from compactnas.errors import UserError
from compactnas.scenes.bands import LANDSAT_BANDS, SENTINEL_BANDS
from compactnas.scenes.product import Files, Product, driver_of

LANDSAT = re.compile(
    r"^(?:(L[COTE]0[4-9])_(\w{4}_\d{6}_\d{8}_\d{8}_\d{2}_\w{2})_)(\w+)$|^(SR_B[1-7]|QA_PIXEL)$", re.IGNORECASE
)
"""Name of a file: satellite, scene, band; or the band alone."""
HLS = re.compile(r"^(HLS\.([LS])30\.T\w{5}\.\w+\.v[\d.]+)\.(B\d[\dA]|Fmask)$", re.IGNORECASE)
"""Name of a file: granule, satellite, band."""

SCALE, OFFSET, FILL = 2.75e-5, -0.2, 0.0
"""Surface reflectance of Landsat = number x scale + offset; the fill value."""
CLOUD_BITS = 0b111111
"""Bits 0 to 5 of QA_PIXEL: fill, dilated cloud, cirrus, cloud, cloud shadow, snow."""
HLS_SCALE, HLS_FILL, HLS_CLOUD_BITS = 1e-4, -9999.0, 0b11110
"""The same for HLS; bits 1 to 4 of Fmask: cloud, next to a cloud or its shadow, cloud shadow, snow."""

COMMON = dict(zip(("coastal", "blue", "green", "red", "nir08", "swir16", "swir22"), LANDSAT_BANDS, strict=True))
OLDER = dict(zip(("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B7"), LANDSAT_BANDS[1:], strict=True))
"""Band of Landsat 4 to 7 (TM, ETM+) -> the band of Landsat 8 and 9 (OLI) with about the same wavelengths."""
OF_HLS = {f"B0{number}": f"SR_B{number}" for number in range(1, 8)}


def find_landsat(path: Path, every: Iterable[Path]) -> Product | None:
    """Find a Landsat scene among the files of a folder; None if there is none.

    Raises:
        UserError: There are several scenes, or none with surface reflectance.
    """
    found = [(one, file) for file in every if driver_of(file) and (one := LANDSAT.match(file.stem))]
    if not found:
        return None
    _require_one(path, {f"{one[1]}_{one[2]}".upper() for one, _ in found})
    satellite = (found[0][0][1] or "LC08").upper()
    older = satellite[1:] not in ("C08", "C09", "O08", "O09")
    files: Files = {}
    for one, file in found:
        word = one[3] or one[4]
        name = COMMON.get(word.lower(), word.upper())
        if older and word.upper() in OLDER:
            name = OLDER[word.upper()]
        if name in LANDSAT_BANDS or name == "QA_PIXEL":
            files.setdefault(name, []).append((file, driver_of(file)))
    if not set(files) & set(LANDSAT_BANDS):
        raise UserError(
            f"{path}: holds Landsat files without surface reflectance; download Level 2 of Collection 2 (*_SR_B*.TIF)"
        )
    notes = (
        (f"{path}: bands of {satellite} are named as those of Landsat 8 with about the same wavelengths",)
        if older
        else ()
    )
    return Product(
        path,
        "a Landsat folder",
        {name: files[name] for name in sorted(files, key=_place)},
        scale=SCALE,
        offset=OFFSET,
        fill=FILL,
        mask="QA_PIXEL",
        bits=CLOUD_BITS,
        notes=notes,
    )


def find_hls(path: Path, every: Iterable[Path]) -> Product | None:
    """Find a granule of HLS among the files of a folder; None if there is none.

    Raises:
        UserError: There are several granules.
    """
    found = [(one, file) for file in every if driver_of(file) and (one := HLS.match(file.stem))]
    if not found:
        return None
    _require_one(path, {one[1].upper() for one, _ in found})
    files: Files = {}
    for one, file in found:
        word = one[3].upper()
        name = "Fmask" if word == "FMASK" else OF_HLS.get(word, "") if one[2].upper() == "L" else word
        if name:
            files.setdefault(name, []).append((file, driver_of(file)))
    return Product(
        path,
        "an HLS folder",
        {name: files[name] for name in sorted(files, key=_place)},
        scale=HLS_SCALE,
        fill=HLS_FILL,
        mask="Fmask",
        bits=HLS_CLOUD_BITS,
    )


def _require_one(path: Path, scenes: set[str]) -> None:
    if len(scenes) > 1:
        first, second = sorted(scenes)[:2]
        raise UserError(f"{path}: holds two scenes ({first}, {second}); give a folder with one")


def _place(name: str) -> int:
    """Place of a band in the order of its satellite; masks come last."""
    order = LANDSAT_BANDS if name in LANDSAT_BANDS else SENTINEL_BANDS
    return order.index(name) if name in order else len(order)
