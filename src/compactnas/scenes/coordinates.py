"""Check the coordinate system of a raster, and name the command that makes a fitting one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.errors import UserError

WEB_MERCATOR = 3857


def is_upright(raster: Any) -> bool:
    """Check that rows run south and columns run east."""
    transform = raster.transform
    if not all(math.isfinite(value) for value in transform[:6]):
        return False
    return bool(raster.crs and transform.b == 0 and transform.d == 0 and transform.a > 0 > transform.e)


def place_of(raster: Any) -> tuple[int, tuple[float, float, float, float]] | None:
    """Return EPSG code and bounds (left, bottom, right, top); None if there is no code or the file is rotated."""
    epsg = raster.crs.to_epsg() if raster.crs else None
    if not epsg or not is_upright(raster):
        return None
    left, bottom, right, top = map(float, raster.bounds)
    return int(epsg), (left, bottom, right, top)


def require_upright_metres(raster: Any, where: str, pixel_m: float | None = None) -> None:
    """Check that a raster is a map in metres whose rows run south.

    Args:
        raster: Open raster.
        where: File name for messages.
        pixel_m: Pixel side for the suggested warp command; by default, about that of the raster.

    Raises:
        UserError: The raster is not such a map; the message names the command that makes one.
    """
    crs = raster.crs
    if crs is None:
        raise UserError(f"{where}: has no coordinate system; set the one that it was made in (rio edit-info --crs)")
    res = f" --res {pixel_m:g}" if pixel_m else ""
    if crs.is_geographic or crs.to_epsg() == WEB_MERCATOR:
        kind = "is in degrees" if crs.is_geographic else "is in Web Mercator, whose metres are not those of the ground"
        raise UserError(f"{where}: {kind}; warp it to UTM first (rio warp --dst-crs {utm_of(raster)}{res})")
    if not crs.is_projected:
        name = crs.to_wkt().partition('"')[2].partition('"')[0]
        raise UserError(
            f"{where}: its coordinate system {name[:40]!r} is local, so its place on Earth is unknown and it cannot be "
            "warped; if you know the real system, set it (rio edit-info --crs EPSG:...), or add control points in QGIS "
            "(Georeferencer)"
        )
    if not is_upright(raster):
        raise UserError(
            f"{where}: is rotated or has no coordinates; warp it to a map first (rio warp --dst-crs "
            f"{utm_of(raster)}{res})"
        )
    if not is_metric(crs):
        unit = crs.linear_units_factor[0]
        raise UserError(
            f"{where}: its coordinate system is not in metres ({unit}); warp it to UTM first (rio warp --dst-crs "
            f"{utm_of(raster)}{res})"
        )


def is_metric(crs: Any) -> bool:
    """Check that a coordinate system is projected, in metres."""
    return bool(crs.is_projected and abs(crs.linear_units_factor[1] - 1) <= 1e-9)


def utm_of(raster: Any) -> str:
    """Return the EPSG code of the UTM zone at a raster's centre; `EPSG:...` if it is unknown."""
    from rasterio.errors import RasterioError
    from rasterio.warp import transform

    at = raster.transform
    x, y = at.c + raster.width * at.a / 2, at.f + raster.height * at.e / 2
    try:
        (longitude,), (latitude,) = transform(raster.crs, "EPSG:4326", [x], [y])
    except (RasterioError, ValueError):
        return "EPSG:..."
    if not (abs(longitude) <= 180 and abs(latitude) <= 90):
        return "EPSG:..."
    zone = min(60, 1 + int((longitude + 180) // 6))
    return f"EPSG:{(32600 if latitude >= 0 else 32700) + zone}"


def in_system(
    own: Any, other: Any, x: NDArray[Any], y: NDArray[Any], where: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Convert coordinates from one system to another; those that cannot be converted become infinite.

    Args:
        own: Coordinate system of the coordinates.
        other: Coordinate system to convert to.
        x: Coordinates to the east, or longitudes.
        y: Coordinates to the north, or latitudes.
        where: File name for messages.

    Raises:
        UserError: There is no conversion.
    """
    from rasterio.errors import RasterioError
    from rasterio.warp import transform

    if own == other:
        return np.asarray(x, np.float64), np.asarray(y, np.float64)
    try:
        xs, ys = transform(own, other, x, y)
    except RasterioError as error:
        raise UserError(f"{where}: {own} cannot be converted to {other} ({error}); warp it (rio warp)") from error
    return np.asarray(xs, np.float64), np.asarray(ys, np.float64)


def apply(transform: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Apply an affine transform to coordinates: numbers or arrays. Overflow gives infinite coordinates."""
    t = transform
    with np.errstate(over="ignore", invalid="ignore"):
        return t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f
