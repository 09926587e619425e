"""References of a map: a raster or polygons of Local Climate Zones, brought to the map's own cells.

A map is gone through by strips of rows, so that memory is bounded, and a reference may be much finer than it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, UInt8
from numpy.typing import NDArray

from compactnas.data.polygons import Polygon, owners
from compactnas.data.rasters import is_upright
from compactnas.errors import UserError
from compactnas.lcz import NAMES
from compactnas.mapping.intervals import pixel_intervals, sums_of

STRIP_PIXELS = 2**22
"""Of a map or of its reference, that are looked at at a time."""
CELL_PIXELS = 64
"""Memory of a cell, in pixels: counts of each class, between the edges of overlapping windows."""
BLOCK_M = 1000.0
"""Side of the blocks of cells that are drawn as one, where the reference is a raster: neighbours are alike."""
MOST_BLOCKS = 10_000
METRES_OF_A_DEGREE = 111_195.0
"""Of latitude, on a sphere of 6371 km."""

Labels = UInt8[np.ndarray, "rows columns"]
Numbers = Int[np.ndarray, "rows columns"]


class Truth(NamedTuple):
    """The reference on some rows of a map's cells.

    Attributes:
        labels: LCZ 1 to 17, 0 for none.
        units: number of the polygon, or of the block of cells, that each lies in.
        hits: pixels of the reference in each cell that are of its class; None where it has no pixels.
        pixels: all of its pixels in each cell; likewise.
        windows: LCZ that fills the wanted share of the window around each cell, 0 where none does, and where windows
            are not asked for.
    """

    labels: Labels
    units: Numbers
    hits: Numbers | None
    pixels: Numbers | None
    windows: Labels


def cell_m(raster: Any) -> float:
    """Height of a cell in metres; what lies in degrees is taken to be on a sphere."""
    unit = raster.crs.linear_units_factor[1] if raster.crs.is_projected else METRES_OF_A_DEGREE
    return float(-raster.transform.e * unit)


def require_map(raster: Any, file: Path, band: str) -> int:
    """Number of the band of a map that is named by number or by description; the first where `band` is empty.

    Errors:
        UserError: it is turned, has no place on the ground, or no such band.
    """
    if not is_upright(raster):
        raise UserError(f"{file}: is turned or has no place on the ground; warp it to a map first (rio warp)")
    names = [name or "" for name in raster.descriptions]
    if band in names and band:
        return names.index(band) + 1
    if not band:
        return 1
    if band.isdecimal() and len(band) < 6 and 1 <= int(band) <= raster.count:
        return int(band)
    known = ", ".join(f"{number} {name}".strip() for number, name in enumerate(names, 1))
    raise UserError(f"--band {band}: {file} has {known}")


def strips(raster: Any, pixels_a_row: int) -> Iterator[tuple[int, int]]:
    """First row and the row after the last one of parts that fit the memory."""
    rows = max(1, STRIP_PIXELS // max(pixels_a_row, CELL_PIXELS * raster.width))
    yield from ((start, min(start + rows, raster.height)) for start in range(0, raster.height, rows))


def read_map(raster: Any, band: int, rows: tuple[int, int], file: Path) -> Labels:
    """Cells of a map, 0 for what it declares to be none.

    Errors:
        UserError: numbers that are no LCZ, or 0 that is not declared as no data.
    """
    values, known = _read(raster, band, rows, (0, raster.width), file)
    if (known & (values == 0)).any():
        raise UserError(
            f"{file}: holds 0, which it does not declare as no data, so that other programs would take it for a class; "
            "declare it (gdal_edit.py -a_nodata 0)"
        )
    return values


def _read(
    raster: Any, band: int, rows: tuple[int, int], columns: tuple[int, int], file: Path
) -> tuple[Labels, NDArray[np.bool_]]:
    """LCZ numbers, 0 for none, and what the file does not declare to be none."""
    from rasterio.windows import Window

    window = Window(columns[0], rows[0], columns[1] - columns[0], rows[1] - rows[0])
    values, known = raster.read(band, window=window), raster.read_masks(band, window=window) > 0
    with np.errstate(invalid="ignore"):
        labels = values.astype(np.uint8)
    wrong = known & ((labels != values) | (labels > len(NAMES)))
    if wrong.any():
        found = values.ravel()[wrong.argmax()]
        raise UserError(f"{file}: holds {found}; labels are LCZ numbers 1 to {len(NAMES)}, 0 for none")
    return labels * known, known


@dataclass(frozen=True)
class PolygonReference:
    """Polygons: a cell belongs to the one that its middle lies in, to the last of several.

    Attributes:
        map: the map, open.
        file: File of the polygons.
        polygons: Polygons in the map's coordinate system.
    """

    map: Any
    file: Path
    polygons: list[Polygon]

    @property
    def units(self) -> int:
        """How many units there are, numbered from 0."""
        return len(self.polygons)

    @property
    def unit(self) -> str:
        """Noun for the reference's units in messages."""
        return "polygon"

    @property
    def pixels_a_row(self) -> int:
        """How many of its pixels stand for a row of the map's cells."""
        return int(self.map.width)

    def on(self, rows: tuple[int, int]) -> Truth:
        """The reference on the map's rows from the first to before the second."""
        owner = owners(self.polygons, self.map.transform, rows, self.map.width, self.file)
        labels = np.array([0, *(polygon.lcz + 1 for polygon in self.polygons)], np.uint8)[owner]
        return Truth(labels, np.maximum(owner - 1, 0), None, None, np.zeros_like(labels))


@dataclass(frozen=True)
class RasterReference:
    """A raster: a cell takes the class of most of the pixels whose middles lie in it.

    No class counts as one, and of equal ones the lower number is taken. A cell without such a pixel takes the one that
    its own middle lies in.

    Attributes:
        map: the map, open.
        raster: the reference, open, in the map's coordinate system.
        file: File of the reference.
        purity: least share of a window's pixels that are of one class; 0 asks for no windows.
        window: side of the window around a cell, in units of the coordinate system.
    """

    map: Any
    raster: Any
    file: Path
    purity: float
    window: float

    @property
    def side(self) -> int:
        """Of a block, which is a unit, in cells."""
        cells = self.map.height * self.map.width
        return max(round(BLOCK_M / cell_m(self.map)), math.ceil(math.sqrt(cells / MOST_BLOCKS)), 1)

    @property
    def units(self) -> int:
        units: int = math.ceil(self.map.height / self.side) * math.ceil(self.map.width / self.side)
        return units

    @property
    def unit(self) -> str:
        return f"block of {self.side} x {self.side} cells"

    @property
    def pixels_a_row(self) -> int:
        pixels: int = math.ceil(self.raster.width * self.map.transform.e / self.raster.transform.e)
        return pixels

    def on(self, rows: tuple[int, int]) -> Truth:
        row, column = np.arange(*rows), np.arange(self.map.width)
        units = row[:, None] // self.side * math.ceil(self.map.width / self.side) + column // self.side
        counts = self._counts(rows, 0.0)
        labels, pixels = counts.argmax(-1).astype(np.uint8), counts.sum(-1)
        windows = np.zeros_like(labels)
        if self.purity:
            around = self._counts(rows, self.window)
            filled = around[..., 1:].max(-1) >= self.purity * np.maximum(around.sum(-1), self._area())
            windows = np.where(filled, 1 + around[..., 1:].argmax(-1), 0).astype(np.uint8)
        return Truth(labels, units, counts.max(-1), pixels, windows)

    def _area(self) -> int:
        """Pixels of a whole window: one over the reference's edge has fewer."""
        place = self.raster.transform
        pixels: int = round(self.window / place.a) * round(self.window / -place.e)
        return pixels

    def _counts(self, rows: tuple[int, int], window: float) -> Int[np.ndarray, "rows columns classes"]:
        """Pixels of each class, none first, in each cell of these rows, or in a window around each."""
        place, own = self.map.transform, self.raster.transform
        down = pixel_intervals(np.arange(*rows), (place.f, place.e), (own.f, own.e), window, self.raster.height)
        along = pixel_intervals(
            np.arange(self.map.width), (place.c, place.a), (own.c, own.a), window, self.raster.width
        )
        if not (len(down.parts) and len(along.parts)):
            return np.zeros((len(down.start), len(along.start), len(NAMES) + 1), np.int64)
        pixels, _ = _read(self.raster, 1, down.whole, along.whole, self.file)
        # Sums between the edges of all cells first, since windows overlap; then of the parts that each cell is made of.
        parts = (down.parts[:, None] * (len(along.edges) - 1) + along.parts) * (len(NAMES) + 1) + pixels
        shape = (len(down.edges) - 1, len(along.edges) - 1, len(NAMES) + 1)
        sums = np.bincount(parts.ravel(), minlength=math.prod(shape)).reshape(shape)
        return sums_of(sums_of(sums, down).swapaxes(0, 1), along).swapaxes(0, 1)


Reference = PolygonReference | RasterReference
"""A reference that a map can be assessed against."""
