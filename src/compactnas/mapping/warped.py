"""A raster reference in another coordinate system than the map: read by nearest neighbour on the map's grid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from compactnas.errors import UserError
from compactnas.labels.rasters import LabelRaster
from compactnas.scenes.coordinates import apply, in_system, is_upright

MOST_A_CELL = 32
"""Largest number of reference pixels to read along each side of a cell."""


@contextmanager
def on_the_grid_of(map_: Any, labels: LabelRaster, window: float) -> Iterator[LabelRaster]:
    """Give a reference in the coordinate system of a map, upright; one that is already so is left as it is.

    Each cell of the map is divided into about as many pixels as the reference has there; each takes the class of the
    reference pixel under its centre.

    Args:
        map_: Open map.
        labels: Open reference.
        window: Width of the windows around the cells to read, in units of the map's coordinate system.
    """
    if labels.raster.crs == map_.crs and is_upright(labels.raster):
        yield labels
        return
    from rasterio.enums import Resampling
    from rasterio.errors import RasterioError
    from rasterio.vrt import WarpedVRT

    place, parts = map_.transform, _parts(map_, labels.raster)
    margin = int(np.ceil(window / min(place.a, -place.e)))
    try:
        with WarpedVRT(
            labels.raster,
            crs=map_.crs,
            transform=_divided(place, parts, margin),
            width=(map_.width + 2 * margin) * parts,
            height=(map_.height + 2 * margin) * parts,
            resampling=Resampling.nearest,
            tolerance=1e-4,  # in pixels of the reference; the default is an eighth of a pixel
        ) as warped:
            yield LabelRaster(warped, labels.file, labels.band)
    except RasterioError as error:
        raise UserError(
            f"{labels.file}: is in {labels.raster.crs}, which cannot be converted to {map_.crs} of the map ({error}); "
            "warp it (rio warp)"
        ) from error


def _divided(place: Any, parts: int, margin: int) -> Any:
    """Transform of a grid that divides each cell into parts, and is larger by a margin in cells."""
    from rasterio import Affine

    return Affine(place.a / parts, 0, place.c - margin * place.a, 0, place.e / parts, place.f - margin * place.e)


def _parts(map_: Any, raster: Any) -> int:
    """Number of pixels of a raster along the side of a cell, at the middle of the map; at least one."""
    column, row = map_.width / 2, map_.height / 2
    x, y = apply(map_.transform, np.array([column, column + 1, column]), np.array([row, row, row + 1]))
    columns, rows = apply(~raster.transform, *in_system(map_.crs, raster.crs, x, y, raster.name))
    sides = [float(np.hypot(columns[n] - columns[0], rows[n] - rows[0])) for n in (1, 2)]
    return int(np.clip(np.rint(np.mean(sides)), 1, MOST_A_CELL)) if np.isfinite(sides).all() else 1
