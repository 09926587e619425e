"""References of a map: a raster or polygons of Local Climate Zones, resampled to the cells of the map.

A map is processed in strips of rows to limit memory, because a reference may be much finer than the map.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from compactnas.errors import UserError
from compactnas.labels.polygons import Polygon, owners
from compactnas.labels.rasters import LabelRaster, band_of
from compactnas.lcz import NAMES
from compactnas.mapping.intervals import pixel_intervals, sums_of
from compactnas.scenes.coordinates import is_upright

STRIP_PIXELS = 2**22
"""Number of pixels, of a map or of its reference, that are processed at a time."""
CELL_PIXELS = 64
"""Memory per cell of a map, in pixels: it holds the counts of each class between the edges of overlapping windows."""
BLOCK_M = 1000.0
"""Side of the blocks that the bootstrap resamples if the reference is a raster; neighbouring cells are correlated."""
MOST_BLOCKS = 10_000
METRES_OF_A_DEGREE = 111_195.0
"""Length of a degree of latitude on a sphere with a radius of 6371 km."""

Labels = UInt8[np.ndarray, "rows columns"]
Numbers = Int[np.ndarray, "rows columns"]


class Truth(NamedTuple):
    """The reference on some rows of a map's cells.

    Attributes:
        labels: LCZ 1 to 17, 0 for no label.
        units: Number of the polygon or of the block that each cell belongs to.
        hits: Number of reference pixels in each cell that have the label of the cell; None for polygons.
        pixels: Number of all reference pixels in each cell; None for polygons.
        windows: LCZ that fills the required share of the window around each cell; 0 if none does, or if `purity` is 0.
    """

    labels: Labels
    units: Numbers
    hits: Numbers | None
    pixels: Numbers | None
    windows: Labels


def cell_m(raster: Any) -> float:
    """Height of a cell in metres; degrees are converted as on a sphere."""
    unit = raster.crs.linear_units_factor[1] if raster.crs.is_projected else METRES_OF_A_DEGREE
    return float(-raster.transform.e * unit)


def cell_text(raster: Any) -> str:
    """Size of a cell in words: in metres, or in degrees and about metres."""
    height_m, place = cell_m(raster), raster.transform
    if raster.crs.is_projected:
        return f"{height_m:g} m"
    middle = math.radians(place.f + raster.height * place.e / 2)
    width_m = place.a * METRES_OF_A_DEGREE * math.cos(middle)
    degrees = " x ".join(dict.fromkeys(f"{side:.4g}" for side in (place.a, -place.e)))
    return f"{degrees} degrees, about {width_m:.0f} m wide and {height_m:.0f} m high"


def require_map(raster: Any, file: Path, band: str) -> LabelRaster:
    """Find a band of a map by number or description; if `band` is empty, `lcz` or the first.

    Raises:
        UserError: The map is rotated, has no georeference or lacks the band.
    """
    if not is_upright(raster):
        raise UserError(f"{file}: is turned or has no place on the ground; warp it to a map first (rio warp)")
    number, notes = band_of(raster, file, band, "--band")
    return LabelRaster(raster, file, number, *notes)


def strips(raster: Any, pixels_a_row: int) -> Iterator[tuple[int, int]]:
    """Cut the rows of a raster into strips that fit in memory, as (first row, row after the last)."""
    rows = max(1, STRIP_PIXELS // max(pixels_a_row, CELL_PIXELS * raster.width))
    yield from ((start, min(start + rows, raster.height)) for start in range(0, raster.height, rows))


def read_map(map_: LabelRaster, rows: tuple[int, int]) -> Labels:
    """Read rows of a map; cells with the declared no-data value become 0.

    Raises:
        UserError: A value is not an LCZ, or the map holds 0 without declaring it as no data.
    """
    labels, known, zero = map_.read(rows, (0, map_.raster.width))
    if (known & zero).any():
        raise UserError(
            f"{map_.file}: holds 0, which it does not declare as no data, so other programs would read it as a class; "
            "declare it (gdal_edit.py -a_nodata 0)"
        )
    return labels


@dataclass(frozen=True)
class PolygonReference:
    """Polygons as reference: a cell belongs to the last polygon that contains its centre.

    Attributes:
        map: Open map.
        file: File of the polygons.
        polygons: Polygons in the map's coordinate system.
        kept: Numbers (from 1) of the polygons to compare with; None takes all.
    """

    map: Any
    file: Path
    polygons: list[Polygon]
    kept: frozenset[int] | None = None

    @property
    def units(self) -> int:
        """Number of units, which are numbered from 0."""
        return len(self.polygons)

    @property
    def unit(self) -> str:
        """Noun for the reference's units in messages."""
        return "polygon"

    @property
    def pixels_a_row(self) -> int:
        """Number of reference pixels along a row of the map."""
        return int(self.map.width)

    @property
    def classes(self) -> UInt8[np.ndarray, " polygons"]:
        """LCZ of each polygon by number, from 1; 0 for those that are left out."""
        kept = range(1, len(self.polygons) + 1) if self.kept is None else self.kept
        numbered = enumerate(self.polygons, 1)
        return np.array([0, *((number in kept) * (polygon.label + 1) for number, polygon in numbered)], np.uint8)

    def on(self, rows: tuple[int, int]) -> Truth:
        """Read the reference on rows of the map, given as (first row, row after the last)."""
        owner = owners(self.polygons, self.map.transform, rows, self.map.width, self.file)
        labels = self.classes[owner]
        return Truth(labels, np.maximum(owner - 1, 0), None, None, np.zeros_like(labels))


@dataclass(frozen=True)
class RasterReference:
    """A raster as reference: a cell takes the most frequent class of the pixels whose centres lie in it.

    "No class" counts as a class, and the lower number wins a tie. A cell that contains no pixel centre takes the pixel
    under its own centre.

    Attributes:
        map: Open map.
        labels: Open reference, upright and in the coordinate system of the map.
        purity: Smallest share of one class among the pixels of a window; 0 disables windows.
        window: Side of the window around a cell, in units of the coordinate system.
    """

    map: Any
    labels: LabelRaster
    purity: float
    window: float

    @property
    def raster(self) -> Any:
        """Raster of the reference."""
        return self.labels.raster

    @property
    def side(self) -> int:
        """Side of a block in cells; a block is a unit."""
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
        """Number of pixels in a whole window; a window across the edge of the reference has fewer."""
        place = self.raster.transform
        pixels: int = round(self.window / place.a) * round(self.window / -place.e)
        return pixels

    def _counts(self, rows: tuple[int, int], window: float) -> Int[np.ndarray, "rows columns classes"]:
        """Count the pixels of each class, "no class" first, in each cell of these rows or in the window around it."""
        place, own = self.map.transform, self.raster.transform
        down = pixel_intervals(np.arange(*rows), (place.f, place.e), (own.f, own.e), window, self.raster.height)
        along = pixel_intervals(
            np.arange(self.map.width), (place.c, place.a), (own.c, own.a), window, self.raster.width
        )
        if not (len(down.parts) and len(along.parts)):
            return np.zeros((len(down.start), len(along.start), len(NAMES) + 1), np.int64)
        pixels = self.labels.read(down.whole, along.whole).labels
        # Windows overlap: first sum between neighbouring edges of all cells, then add up the parts of each cell.
        parts = (down.parts[:, None] * (len(along.edges) - 1) + along.parts) * (len(NAMES) + 1) + pixels
        shape = (len(down.edges) - 1, len(along.edges) - 1, len(NAMES) + 1)
        sums = np.bincount(parts.ravel(), minlength=math.prod(shape)).reshape(shape)
        return sums_of(sums_of(sums, down).swapaxes(0, 1), along).swapaxes(0, 1)


Reference = PolygonReference | RasterReference
"""Reference that a map can be assessed against."""
