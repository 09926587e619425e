"""Sentinel-2 products (SAFE, L1C and L2A), and folders with similar file names (Copernicus, Earth Search).

From processing baseline 04.00 on (25 January 2022), the numbers of products hold an offset. The metadata declare it as
`RADIO_ADD_OFFSET` (L1C) or `BOA_ADD_OFFSET` (L2A): reflectance = (number + offset) / quantification.
Source: ESA, Sentinel-2 Products Specification Document (S2-PDGS-TAS-DI-PSD), 14.9.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from compactnas.config.reading import Reading
from compactnas.errors import UserError
from compactnas.io.untrusted import read_text
from compactnas.scenes.bands import COMMON, SENTINEL_BANDS, sentinel_name
from compactnas.scenes.product import Files, Product, driver_of

NUMBERED = re.compile(r"(?:^|[_.\-])(B(?:0?[1-9]|1[0-2]|8A)|SCL)(?:_(?:10|20|60)m)?$", re.IGNORECASE)
"""End of a file's name without its suffix: `B02`, `T33UUU_20230601T101601_B05_20m`."""
NAMED = re.compile(rf"(?:^|[_.\-])({'|'.join(sorted(COMMON, key=len, reverse=True))})$", re.IGNORECASE)
"""The same with common names, as Earth Search writes them: `blue`, `S2A_33UUU_20230601_0_L2A_rededge1`."""

METADATA = "MTD_MSIL*.xml"
OFFSET = re.compile(r"<(?:RADIO|BOA)_ADD_OFFSET\s+band_id\s*=\s*[\"'](\d{1,2})[\"']\s*>\s*(-?\d{1,6})\s*<")
QUANTIFICATION = re.compile(r"<(?:L2A_)?(?:BOA_)?QUANTIFICATION_VALUE(?:\s[^<>]*)?>\s*(\d{1,6})(?:\.0*)?\s*<")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)

BASELINE = re.compile(r"_N(\d{2})(\d{2})_")
"""Processing baseline in the name of a product: N0400 is baseline 04.00."""
FIRST_WITH_OFFSET, LEVEL_OFFSET = 400, -1000
KIND = "a Sentinel-2 folder"


def band_of(file: Path) -> str:
    """Name of the band in a file of a product; empty if there is none."""
    found = (NUMBERED.search(file.stem) or NAMED.search(file.stem)) if driver_of(file) else None
    return sentinel_name(found[1].upper() if NUMBERED.search(file.stem) else found[1]) if found else ""


def find_sentinel(path: Path, every: Iterable[Path], reading: Reading) -> Product:
    """Find the bands among the files of a folder, and their offset by metadata or by the name of the folder."""
    found: Files = defaultdict(list)
    for file in every:
        if name := band_of(file):
            found[name].append((file, driver_of(file)))
    order = {name: place for place, name in enumerate(SENTINEL_BANDS)}
    files = {name: found[name] for name in sorted(found, key=lambda name: order.get(name, len(order)))}
    metadata = sorted((*path.glob(METADATA), *path.glob(f"*/{METADATA}")))[:2]
    if len(metadata) > 1:
        raise UserError(f"{path}: holds two products ({metadata[0].name}, {metadata[1].name}); give a folder with one")
    if metadata:
        return _by_metadata(path, files, metadata[0], reading)
    names = (path.resolve().name, *(file.name for every in files.values() for file, _ in every))
    baseline = next((int(one[1] + one[2]) for name in names if (one := BASELINE.search(name + "_"))), None)
    if baseline is None:
        note = (
            f"{path}: no metadata (MTD_MSIL*.xml) and no processing baseline in its name, so the offset was assumed to "
            f"be 0; if it was made after 2022-01-25 and not harmonised, give {reading.key('offset')} -1000"
        )
        return Product(path, KIND, files, notes=(note,))
    offset = LEVEL_OFFSET if baseline >= FIRST_WITH_OFFSET else 0
    note = f"{path}: no metadata; offset {offset} by the processing baseline in its name"
    return Product(path, KIND, files, dict.fromkeys(SENTINEL_BANDS, offset), notes=(note,))


def _by_metadata(path: Path, files: Files, file: Path, reading: Reading) -> Product:
    """Read offsets and quantification from the metadata by regular expressions, so no XML entity is ever resolved."""
    text = COMMENT.sub("", read_text(file, "download the product again"))
    declared = QUANTIFICATION.search(text)
    quantification = int(declared[1]) if declared else 0
    if not quantification and (reading.scale is None or reading.offset is None):
        raise UserError(
            f"{file}: names no QUANTIFICATION_VALUE; download the product again, or give {reading.key('scale')} and "
            f"{reading.key('offset')}"
        )
    offsets = {
        SENTINEL_BANDS[int(number)]: int(offset)
        for number, offset in OFFSET.findall(text)
        if int(number) < len(SENTINEL_BANDS)
    }
    return Product(path, KIND, files, offsets, 1 / (quantification or 10_000))
