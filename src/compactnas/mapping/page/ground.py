"""Coordinates and areas of a map's cells, as the script of the page needs them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from compactnas.mapping.reference import METRES_OF_A_DEGREE
from compactnas.scenes.scene import Place

POINTS = 9
"""Points along each axis of a map whose longitude and latitude are known; values between them are interpolated."""


@dataclass(frozen=True)
class Ground:
    """The ground under a map.

    Attributes:
        width_m: Width of a cell in metres.
        height_m: Height of a cell in metres.
        crs: Code or name of the coordinate system.
        unit: Unit of its coordinates, `m` or `°`; empty for others.
        lonlat: Longitude and latitude of `POINTS` x `POINTS` points from the upper left to the lower right corner of
            the map, row by row; empty if they are unknown.
    """

    width_m: float
    height_m: float
    crs: str
    unit: str
    lonlat: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, place: Place) -> Ground:
        """Describe the ground under a map."""
        lonlat = _lonlat(place)
        epsg = place.crs.to_epsg()
        crs = f"EPSG:{epsg}" if epsg else str(place.crs.to_string())[:40]
        across, down = place.transform.a, -place.transform.e
        if place.crs.is_projected:
            metres = place.crs.linear_units_factor[1]
            return cls(across * metres, down * metres, crs, "m" if abs(metres - 1) < 1e-9 else "", lonlat)
        _, top, _, bottom = place.corners
        shorter = max(0.01, math.cos(math.radians((top + bottom) / 2)))
        return cls(across * METRES_OF_A_DEGREE * shorter, down * METRES_OF_A_DEGREE, crs, "°", lonlat)

    @property
    def cell_km2(self) -> float:
        """Area of a cell in square kilometres; of one in the middle, if the map is in degrees."""
        return self.width_m * self.height_m / 1e6

    @property
    def cell_text(self) -> str:
        """Size of a cell as text."""
        width, height = (f"{round(side, 1):g}" for side in (self.width_m, self.height_m))
        return f"{width} m" if width == height else f"{width} x {height} m"


def _lonlat(place: Place) -> tuple[tuple[float, float], ...]:
    from rasterio.errors import RasterioError
    from rasterio.warp import transform

    left, top, right, bottom = place.corners
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(left, right, POINTS), np.linspace(top, bottom, POINTS)))
    try:
        found: Any = np.array(transform(place.crs, "EPSG:4326", x.tolist(), y.tolist()))
    except (RasterioError, ValueError):
        return ()
    if not np.isfinite(found).all():
        return ()
    found = found.reshape(2, POINTS, POINTS)
    for axis in (0, 1):  # across the date line, longitudes go on beyond 180
        found[0] = np.unwrap(found[0], period=360, axis=axis)
    return tuple((round(float(lon), 6), round(float(lat), 6)) for lon, lat in found.reshape(2, -1).T)
