"""Show on a page where a map agrees with its reference."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from compactnas.errors import UserError
from compactnas.io.atomic import read_json
from compactnas.io.untrusted import read_text
from compactnas.mapping.grid import MOST_CELLS
from compactnas.mapping.legend import legend
from compactnas.mapping.page import layers
from compactnas.mapping.page.page import Picture, write_page
from compactnas.scenes.files import opened
from compactnas.scenes.scene import Place

DESCRIPTION = "map.json"
"""Name of the description of a map of `compactnas map`, beside its files."""
JPEG = re.compile(r"data:image/jpeg;base64,[A-Za-z0-9+/]+={0,2}")


class Compared:
    """Classes of a map and of its reference, collected strip by strip.

    Args:
        map_file: GeoTIFF of the map.

    Raises:
        UserError: The map cannot be opened, or is too large for a page.
    """

    def __init__(self, map_file: Path) -> None:
        self._file = map_file
        with opened(map_file) as raster:
            self._place = Place.of(raster)
        if self._place.height * self._place.width > MOST_CELLS:
            size = f"{self._place.width} x {self._place.height}"
            raise UserError(f"--output: {map_file} has {size} cells, too many for a page; name a .json or .csv")
        shape = (self._place.height, self._place.width)
        self._mapped: UInt8[np.ndarray, "rows columns"] = np.zeros(shape, np.uint8)
        self._truth: UInt8[np.ndarray, "rows columns"] = np.zeros(shape, np.uint8)

    def add(self, rows: tuple[int, int], mapped: NDArray[np.uint8], truth: NDArray[np.uint8]) -> None:
        """Add the classes on some rows, given as (first row, row after the last)."""
        self._mapped[slice(*rows)], self._truth[slice(*rows)] = mapped, truth

    def write(self, output: Path, truth_file: Path, facts: Sequence[str]) -> Path:
        """Write the page, with the scene under it if the map was made by `compactnas map` and has a page.

        Args:
            output: File to write.
            truth_file: File of the reference.
            facts: Sentences about the comparison.
        """
        classes = legend((), lcz=True)
        reference = f"Classes of the reference, {truth_file.name}, on the cells of the map."
        shown = (
            layers.agreement(self._mapped, self._truth),
            layers.classes("classes", "Map", self._mapped, classes, f"Classes of {self._file.name}."),
            layers.classes("reference", "Reference", self._truth, classes, reference),
        )
        title = f"{self._file.stem} against {truth_file.stem}"
        return write_page(output, title, self._place, shown, scene_of(self._file), facts)


class _Images(HTMLParser):
    """Finds the picture of the scene on a page."""

    def __init__(self) -> None:
        super().__init__()
        self.scene: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "img" and found.get("id") == "scene":
            self.scene = found


def scene_of(map_file: Path) -> Picture | None:
    """Take the picture of the scene from the page beside a map; None if there is no such page."""
    folder = map_file.resolve().parent
    try:
        about = read_json(folder / DESCRIPTION, "")
        if not isinstance(about, dict) or map_file.name not in about["files"]:
            return None
        page = str(about["page"])
        if page != Path(page).name:
            return None
        images = _Images()
        images.feed(read_text(folder / page, ""))
        scene = images.scene
        columns, rows = float(scene["data-columns"]), float(scene["data-rows"])
    except (UserError, KeyError, TypeError, ValueError):
        return None
    if not JPEG.fullmatch(scene["src"]) or not (0 < columns < MOST_CELLS and 0 < rows < MOST_CELLS):
        return None
    return Picture(scene["src"], columns, rows, scene["alt"])
