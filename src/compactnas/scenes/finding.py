"""Recognise which kind of product a folder holds, by the names of its files.

Each kind has its own module: `sentinel.py` and `landsat.py` (Landsat and HLS).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from compactnas.config.reading import Reading
from compactnas.errors import UserError
from compactnas.scenes.landsat import find_hls, find_landsat
from compactnas.scenes.product import Product
from compactnas.scenes.sentinel import find_sentinel

MOST_FILES = 10_000
"""Largest number of files in a folder; a product has about a hundred."""


def find_product(path: Path, reading: Reading) -> Product:
    """Find the files of a product, and how their numbers are scaled.

    Raises:
        UserError: The folder holds too many files, files of several products, or a product that cannot be used.
    """
    files = list(files_of(path))
    for kind in (find_landsat, find_hls):
        found = kind(path, files)
        if found is not None:
            return found
    return find_sentinel(path, files, reading)


def files_of(path: Path) -> Iterator[Path]:
    """List the files of a folder in a fixed order, without the quality masks of a product."""
    found = []
    for file in path.rglob("*"):
        found.append(file)
        if len(found) > MOST_FILES:
            raise UserError(f"{path}: holds more than {MOST_FILES} files; give the folder of one product")
    yield from sorted(file for file in found if file.is_file() and "QI_DATA" not in file.parts)
