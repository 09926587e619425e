"""The cells of a map, and the windows that classify them.

A cell is a square of `step` pixels, and its window is a square of `window` pixels around it. The corner of the cell is
(window - step) // 2 pixels from the corner of the window: windows of 32 px moved by 10 px give cells of 100 m that
begin 11 px inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from compactnas.errors import UserError
from compactnas.mapping.config import Edges
from compactnas.scenes.scene import Place

BLOCK_ROWS, BLOCK_COLUMNS = 16, 1024
"""Largest number of rows and columns of a block: at 10 px and 10 bands, it holds 75 MB of pixels."""
MOST_CELLS = 2**26
"""Largest number of cells of a map."""


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
        step: Side of a cell and distance between neighbouring windows, in pixels.
        window: Side of a window in pixels.
        first: First pixel of the first window along both axes of the scene; negative if the window extends over the
            edge.
    """

    rows: int
    columns: int
    step: int
    window: int
    first: int

    @classmethod
    def of(cls, place: Place, step: int, window: int, edges: Edges) -> Grid:
        """Lay cells over a scene.

        Args:
            place: Georeference of the scene.
            step: Side of a cell in pixels.
            window: Side of a window in pixels.
            edges: `mirror` covers the whole scene from its corner, with windows that extend over the edge; `leave`
                keeps only the cells whose windows lie inside the scene.

        Raises:
            UserError: The scene is smaller than a cell, or than a window that is not mirrored, or gives too many cells.
        """
        if not 1 <= step <= window:
            raise UserError(
                f"--stride-px: {step} is not between 1 and the window's side, {window}; leave it out for about 100 m"
            )
        least = step if edges == "mirror" else window
        if min(place.height, place.width) < least:
            larger = min(place.height, place.width) < step
            raise UserError(
                f"the scene is {place.width} x {place.height} pixels, and a window takes {window} x {window}; "
                f"{'give a larger scene' if larger else 'leave out --edges leave, so that it is mirrored'}"
            )
        if edges == "mirror":
            first, (rows, columns) = -inset(window, step), (-(-side // step) for side in (place.height, place.width))
        else:
            first, (rows, columns) = 0, ((side - window) // step + 1 for side in (place.height, place.width))
        if rows * columns > MOST_CELLS:
            raise UserError(
                f"--stride-px: {step} gives {columns} x {rows} cells; give a larger stride or a smaller scene"
            )
        return cls(rows, columns, step, window, first)

    def place(self, scene: Place) -> Place:
        """Georeference of the map."""
        corner, at = self.first + inset(self.window, self.step), scene.transform
        moved = type(at)(self.step * at.a, 0.0, at.c + corner * at.a, 0.0, self.step * at.e, at.f + corner * at.e)
        return Place(scene.crs, moved, self.rows, self.columns)

    def notes(self, scene: Place) -> tuple[str, ...]:
        """Note for a scene that is smaller than a window."""
        if min(scene.height, scene.width) >= self.window:
            return ()
        return (
            f"the scene is {scene.width} x {scene.height} pixels, smaller than a window of {self.window} x "
            f"{self.window}; it is mirrored at its edges",
        )

    def blocks(self) -> Iterator[CellRectangle]:
        """Split the map into rectangles of about the same size, row by row."""
        for row, rows in _parts(self.rows, BLOCK_ROWS):
            for column, columns in _parts(self.columns, BLOCK_COLUMNS):
                yield CellRectangle(row, column, rows, columns)


def inset(window: int, step: int) -> int:
    """Number of pixels between the corner of a window and the corner of its cell, along each axis."""
    return (window - step) // 2


def _parts(cells: int, most: int) -> Iterator[tuple[int, int]]:
    """First cell and number of cells of each part."""
    parts = -(-cells // most)
    edges = [part * cells // parts for part in range(parts + 1)]
    yield from ((start, stop - start) for start, stop in pairwise(edges))
