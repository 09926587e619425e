"""A folder with a file for each band: Sentinel-2's products (SAFE, L1C and L2A), or any other with names like theirs.

Numbers of products of processing baseline 04.00 on (25 January 2022) hold an offset, which their metadata tell
(`RADIO_ADD_OFFSET` in L1C, `BOA_ADD_OFFSET` in L2A): reflectance = (number + offset) / quantification.
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
from compactnas.mapping.bands import sentinel_name

FILE = re.compile(r"(?:^|[_.\-])(B(?:0?[1-9]|1[0-2]|8A)|SCL)(?:_(?:10|20|60)m)?\.(jp2|tiff?)$", re.IGNORECASE)
DRIVER = {"jp2": "JP2OpenJPEG", "tif": "GTiff", "tiff": "GTiff"}
MOST_FILES = 10_000
"""In a folder; a product holds some hundred."""

METADATA = "MTD_MSIL*.xml"
ORDER = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
"""Of `band_id` in the metadata."""
OFFSET = re.compile(r"<(?:RADIO|BOA)_ADD_OFFSET\s+band_id\s*=\s*[\"'](\d{1,2})[\"']\s*>\s*(-?\d{1,6})\s*<")
QUANTIFICATION = re.compile(r"<(?:BOA_)?QUANTIFICATION_VALUE(?:\s[^<>]*)?>\s*(\d{1,6})(?:\.0*)?\s*<")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)

BASELINE = re.compile(r"_N(\d{2})(\d{2})_")
"""In a product's name: N0400 is baseline 04.00."""
FIRST_WITH_OFFSET, LEVEL_OFFSET = 400, -1000


@dataclass(frozen=True)
class Product:
    """The files of one product.

    Attributes:
        path: its folder.
        files: band -> its files, of all resolutions, each with GDAL's name of its format.
        offsets: band -> what is added to its numbers.
        quantification: numbers for a reflectance of 1.
        notes: what was assumed.
    """

    path: Path
    files: dict[str, list[tuple[Path, str]]]
    offsets: dict[str, int] = field(default_factory=dict)
    quantification: int = 10_000
    notes: tuple[str, ...] = ()

    def chosen(self, wanted: tuple[str, ...]) -> list[str]:
        """The names by which `files` has these bands.

        Errors:
            UserError: one is missing.
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
        """Offset added to a band's numbers."""
        return float(self.offsets.get(name, 0))


def find_product(path: Path) -> Product:
    """Look for the files of a product, and for its offset: in its metadata, or else in its name."""
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
            f"{path}: no metadata (MTD_MSIL*.xml) and no baseline in its name, so its numbers were taken to hold no "
            "offset; if it was made after 2022-01-25 and not harmonised, give --offset -1000"
        )
        return Product(path, dict(files), notes=(note,))
    offset = LEVEL_OFFSET if baseline >= FIRST_WITH_OFFSET else 0
    note = f"{path}: no metadata; offset {offset} by the processing baseline in its name"
    return Product(path, dict(files), dict.fromkeys(ORDER, offset), notes=(note,))


def _files(path: Path) -> Iterator[Path]:
    """The files of a folder, in an order that does not depend on the disk, without the quality masks of a product."""
    found = []
    for file in path.rglob("*"):
        found.append(file)
        if len(found) > MOST_FILES:
            raise UserError(f"{path}: holds more than {MOST_FILES} files; give the folder of one product")
    yield from sorted(file for file in found if file.is_file() and "QI_DATA" not in file.parts)


def _by_metadata(path: Path, files: dict[str, list[tuple[Path, str]]], file: Path) -> Product:
    """Numbers are picked out of the text: nothing of an XML parser's (entities, other files) is needed for them."""
    text = COMMENT.sub("", read_text(file, "download the product again"))
    quantification = QUANTIFICATION.search(text)
    if quantification is None or not int(quantification[1]):
        raise UserError(
            f"{file}: names no QUANTIFICATION_VALUE; download the product again, or give --scale and --offset"
        )
    offsets = {ORDER[int(number)]: int(offset) for number, offset in OFFSET.findall(text) if int(number) < len(ORDER)}
    return Product(path, files, offsets, int(quantification[1]))
