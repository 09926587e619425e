"""Grid of a scene: square pixels of the place's UTM zone, in blocks that are made one at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from compactnas.catalogues.place import Area
from compactnas.errors import UserError
from compactnas.scenes.files import MOST_PIXELS, MOST_ROW_VALUES
from compactnas.scenes.scene import Window

BLOCK_PX = (1024, 512, 256)
"""Sides of a block, largest first; each is a whole number of tiles of the file."""
BLOCK_BYTES = 128 * 2**20
"""Size of one band of a block over all days, in bytes; some copies of it are in memory at the same time."""
BYTES_PER_PIXEL = 4


@dataclass(frozen=True)
class Grid:
    """Pixels of a scene.

    Attributes:
        epsg: Code of the UTM zone.
        left: Left edge in metres.
        top: Upper edge in metres.
        pixel_m: Side of a pixel in metres.
        height: Number of rows.
        width: Number of columns.
    """

    epsg: int
    left: float
    top: float
    pixel_m: float
    height: int
    width: int

    @property
    def transform(self) -> Any:
        """Affine transform from column and row to coordinates."""
        return self.transform_of(Window(0, 0, self.height, self.width))

    def transform_of(self, window: Window) -> Any:
        """Affine transform of a window."""
        from rasterio import Affine

        left, top = self.left + window.column * self.pixel_m, self.top - window.row * self.pixel_m
        return Affine(self.pixel_m, 0, left, 0, -self.pixel_m, top)

    def blocks(self, days: int) -> list[Window]:
        """Divide the grid into blocks, row by row; the more days, the smaller."""
        side = next((side for side in BLOCK_PX if side * side * days * BYTES_PER_PIXEL <= BLOCK_BYTES), BLOCK_PX[-1])
        return [
            Window(row, column, min(side, self.height - row), min(side, self.width - column))
            for row in range(0, self.height, side)
            for column in range(0, self.width, side)
        ]


def utm_zone(longitude: float, latitude: float) -> int:
    """Return the EPSG code of the UTM zone of a point."""
    zone = min(60, 1 + int((longitude + 180) // 6))
    return (32600 if latitude >= 0 else 32700) + zone


def grid_of(area: Area, pixel_m: float, bands: int, corner: tuple[float, float] = (0.0, 0.0)) -> Grid:
    """Lay a grid over an area; its pixels meet a corner of the sensor's pixels, so that they are not shifted.

    Args:
        area: Place.
        pixel_m: Side of a pixel in metres.
        bands: Number of bands of the scene.
        corner: Any corner of a pixel of the sensor, in metres.

    Raises:
        UserError: The area is too large.
    """
    from rasterio.warp import transform_bounds

    epsg = utm_zone(*area.centre)
    left, bottom, right, top = transform_bounds("EPSG:4326", f"EPSG:{epsg}", *area.bounds, densify_pts=51)
    if not all(math.isfinite(value) for value in (left, bottom, right, top)):
        raise UserError(f"PLACE {area.text}: does not fit into the UTM zone of its middle; give a smaller place")
    x, y = corner
    first, last = math.floor((left - x) / pixel_m + 1e-6), math.ceil((right - x) / pixel_m - 1e-6)
    low, high = math.floor((bottom - y) / pixel_m + 1e-6), math.ceil((top - y) / pixel_m - 1e-6)
    width, height = max(1, last - first), max(1, high - low)
    if width * height > MOST_PIXELS or width * bands > MOST_ROW_VALUES:
        raise UserError(
            f"PLACE {area.text}: is {(right - left) / 1000:.0f} x {(top - bottom) / 1000:.0f} km, {width} x {height} "
            f"pixels of {pixel_m:g} m; a scene has at most {MOST_PIXELS / 1e6:.0f} million: divide the place, or raise "
            "--pixel-m"
        )
    return Grid(epsg, x + first * pixel_m, y + high * pixel_m, pixel_m, height, width)
