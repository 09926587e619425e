"""Folders with a file for each band: Sentinel-2 products (SAFE, L1C and L2A), and others with similar file names.

From processing baseline 04.00 on (25 January 2022), the numbers of products hold an offset. The metadata declare it as
`RADIO_ADD_OFFSET` (L1C) or `BOA_ADD_OFFSET` (L2A): reflectance = (number + offset) / quantification.
Source: ESA, Sentinel-2 Products Specification Document (S2-PDGS-TAS-DI-PSD), 14.9.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from compactnas.errors import UserError
from compactnas.io.untrusted import read_text
from compactnas.scenes.bands import sentinel_name

FILE = re.compile(r"(?:^|[_.\-])(B(?:0?[1-9]|1[0-2]|8A)|SCL)(?:_(?:10|20|60)m)?\.(jp2|tiff?)$", re.IGNORECASE)
DRIVER = {"jp2": "JP2OpenJPEG", "tif": "GTiff", "tiff": "GTiff"}
MOST_FILES = 10_000
"""Largest number of files in a folder; a product has about a hundred."""

METADATA = "MTD_MSIL*.xml"
ORDER = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""Bands in the order of `band_id` in the metadata."""
OFFSET = re.compile(r"<(?:RADIO|BOA)_ADD_OFFSET\s+band_id\s*=\s*[\"'](\d{1,2})[\"']\s*>\s*(-?\d{1,6})\s*<")
QUANTIFICATION = re.compile(r"<(?:BOA_)?QUANTIFICATION_VALUE(?:\s[^<>]*)?>\s*(\d{1,6})(?:\.0*)?\s*<")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)

BASELINE = re.compile(r"_N(\d{2})(\d{2})_")
"""Processing baseline in the name of a product: N0400 is baseline 04.00."""
FIRST_WITH_OFFSET, LEVEL_OFFSET = 400, -1000


@dataclass(frozen=True)
class Product:
    """The files of one product.

    Attributes:
        path: Folder of the product.
        files: Files of each band in all resolutions, each with GDAL's name of its format.
        offsets: Offset added to the numbers of each band.
        quantification: Number that stands for a reflectance of 1.
        notes: Assumptions about the product.
    """

    path: Path
    files: dict[str, list[tuple[Path, str]]]
    offsets: dict[str, int] = field(default_factory=dict)
    quantification: int = 10_000
    notes: tuple[str, ...] = ()

    def chosen(self, wanted: tuple[str, ...]) -> list[str]:
        """Names of these bands in `files`.

        Raises:
            UserError: A band is missing.
        """
        names = [sentinel_name(name) for name in wanted]
        for name in names:
            if name not in self.files:
                known = ", ".join(self.files) or "no file of a band"
                raise UserError(
                    f"{self.path}: has no file of band {name} (found {known}); add one whose name ends with "
                    f"_{name}.jp2 or _{name}.tif"
                )
        return names

    def added(self, name: str) -> float:
        """Offset added to the numbers of a band."""
        return float(self.offsets.get(name, 0))


def find_product(path: Path) -> Product:
    """Find the files of a product and its offset, which is in the metadata or follows from the name."""
    files: dict[str, list[tuple[Path, str]]] = defaultdict(list)
    for file in _files(path):
        found = FILE.search(file.name)
        if found:
            files[sentinel_name(found[1].upper())].append((file, DRIVER[found[2].lower()]))
    metadata = sorted((*path.glob(METADATA), *path.glob(f"*/{METADATA}")))[:2]
    if len(metadata) > 1:
        raise UserError(f"{path}: holds two products ({metadata[0].name}, {metadata[1].name}); give a folder with one")
    if metadata:
        return _by_metadata(path, dict(files), metadata[0])
    names = (path.resolve().name, *(file.name for every in files.values() for file, _ in every))
    baseline = next((int(found[1] + found[2]) for name in names if (found := BASELINE.search(name + "_"))), None)
    if baseline is None:
        note = (
            f"{path}: no metadata (MTD_MSIL*.xml) and no processing baseline in its name, so the offset was assumed to "
            "be 0; if it was made after 2022-01-25 and not harmonised, give --offset -1000"
        )
        return Product(path, dict(files), notes=(note,))
    offset = LEVEL_OFFSET if baseline >= FIRST_WITH_OFFSET else 0
    note = f"{path}: no metadata; offset {offset} by the processing baseline in its name"
    return Product(path, dict(files), dict.fromkeys(ORDER, offset), notes=(note,))


def _files(path: Path) -> Iterator[Path]:
    """List the files of a folder in a fixed order, without the quality masks of a product."""
    found = []
    for file in path.rglob("*"):
        found.append(file)
        if len(found) > MOST_FILES:
            raise UserError(f"{path}: holds more than {MOST_FILES} files; give the folder of one product")
    yield from sorted(file for file in found if file.is_file() and "QI_DATA" not in file.parts)


def _by_metadata(path: Path, files: dict[str, list[tuple[Path, str]]], file: Path) -> Product:
    """Read offsets and quantification from the metadata by regular expressions, so no XML entity is ever resolved."""
    text = COMMENT.sub("", read_text(file, "download the product again"))
    quantification = QUANTIFICATION.search(text)
    if quantification is None or not int(quantification[1]):
        raise UserError(
            f"{file}: names no QUANTIFICATION_VALUE; download the product again, or give --scale and --offset"
        )
    offsets = {ORDER[int(number)]: int(offset) for number, offset in OFFSET.findall(text) if int(number) < len(ORDER)}
    return Product(path, files, offsets, int(quantification[1]))
