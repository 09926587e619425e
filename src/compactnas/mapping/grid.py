"""The cells of a map, and the windows that they are judged by.

A cell is a square of `step` pixels; its window is a square of `window` pixels around it, so that the cell's corner is
(window - step) // 2 pixels from the window's: 32 px moved by 10 px give cells of 100 m, 11 px inside (16 - 5).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from compactnas.errors import UserError
from compactnas.mapping.config import Edges
from compactnas.mapping.scene import Place

BLOCK_ROWS, BLOCK_COLUMNS = 16, 1024
"""Most cells of what is worked on at a time: at 10 px and 10 bands, 75 MB of pixels."""
MOST_CELLS = 2**26
"""Of a map."""


class CellRectangle(NamedTuple):
    """A rectangle of cells."""

    row: int
    column: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Grid:
    """The cells of a scene.

    Attributes:
        rows: Number of rows of cells.
        columns: Number of columns of cells.
        step: side of a cell in pixels, and distance of neighbouring windows.
        window: side of a window in pixels.
        first: pixel of the scene, along both axes, at which the first window begins; negative where it reaches over the
            edge.
    """

    rows: int
    columns: int
    step: int
    window: int
    first: int

    @classmethod
    def of(cls, place: Place, step: int, window: int, edges: Edges) -> Grid:
        """The cells of a scene.

        Args:
            place: Georeference of the scene.
            step: side of a cell in pixels.
            window: side of a window in pixels.
            edges: `mirror` covers the whole scene, from its corner, with cells whose windows reach over the edge;
                `leave` has the cells whose windows lie inside.

        Errors:
            UserError: the scene is smaller than a window, or gives too many cells.
        """
        if not 1 <= step <= window:
            raise UserError(f"--stride-px: {step} is not between 1 and the window's side, {window}")
        if min(place.height, place.width) < window:
            raise UserError(
                f"the scene is {place.width} x {place.height} pixels, and a window takes {window} x {window}; give a "
                "larger scene"
            )
        if edges == "mirror":
            first, (rows, columns) = -inset(window, step), (-(-side // step) for side in (place.height, place.width))
        else:
            first, (rows, columns) = 0, ((side - window) // step + 1 for side in (place.height, place.width))
        if rows * columns > MOST_CELLS:
            raise UserError(
                f"--stride-px: {step} gives {columns} x {rows} cells; give a larger step or a smaller scene"
            )
        return cls(rows, columns, step, window, first)

    def place(self, scene: Place) -> Place:
        """Georeference of the map."""
        corner, at = self.first + inset(self.window, self.step), scene.transform
        moved = type(at)(self.step * at.a, 0.0, at.c + corner * at.a, 0.0, self.step * at.e, at.f + corner * at.e)
        return Place(scene.crs, moved, self.rows, self.columns)

    def blocks(self) -> Iterator[CellRectangle]:
        """The map cut into rectangles of about the same size, row by row."""
        for row, rows in _parts(self.rows, BLOCK_ROWS):
            for column, columns in _parts(self.columns, BLOCK_COLUMNS):
                yield CellRectangle(row, column, rows, columns)


def inset(window: int, step: int) -> int:
    """Pixels from a window's corner to its cell's."""
    return (window - step) // 2


def _parts(cells: int, most: int) -> Iterator[tuple[int, int]]:
    """First cell and number of cells of each part."""
    parts = -(-cells // most)
    edges = [part * cells // parts for part in range(parts + 1)]
    yield from ((start, stop - start) for start, stop in pairwise(edges))
