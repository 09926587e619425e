"""Share of a reference that lies on a map."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float64

from compactnas.errors import UserError
from compactnas.labels.polygons import owners
from compactnas.labels.rasters import LabelRaster
from compactnas.mapping.reference import PolygonReference
from compactnas.scenes.coordinates import in_system

POINTS = 65
"""Number of points along each side of a map's outline, which bends in another coordinate system."""
MOST_CELLS = 2**24
"""Largest number of cells to count; polygons that spread further are counted in larger cells."""


def covered_pixels(map_: Any, labels: LabelRaster) -> tuple[int, int]:
    """Count the labelled pixels of a reference: those whose centre lies on the map, and all. Reads each once."""
    from rasterio import Affine
    from rasterio.features import rasterize

    inside = total = 0
    outline = _outline(map_, labels)
    place = labels.raster.transform
    for start, numbers in labels.strips():
        total += int(np.count_nonzero(numbers))
        if not numbers.any():
            continue
        at = Affine(place.a, place.b, place.c + start * place.b, place.d, place.e, place.f + start * place.e)
        ring = {"type": "Polygon", "coordinates": [outline.tolist()]}
        on_map = rasterize([(ring, 1)], numbers.shape, transform=at, dtype="uint8") > 0
        inside += int(np.count_nonzero(numbers[on_map]))
    return inside, total


def _outline(map_: Any, labels: LabelRaster) -> Float64[np.ndarray, "points 2"]:
    """Edge of a map in the coordinate system of a reference."""
    along, zero, one = np.linspace(0, 1, POINTS), np.zeros(POINTS), np.ones(POINTS)
    across = np.concatenate((along, one, along[::-1], zero))
    down = np.concatenate((zero, along, one, along[::-1]))
    (left, bottom, right, top), system = map_.bounds, labels.raster.crs
    x, y = in_system(map_.crs, system, left + across * (right - left), top - down * (top - bottom), str(labels.file))
    outline = np.column_stack((x, y))
    if not np.isfinite(outline).all():
        raise UserError(f"{labels.file}: is in {system}, which does not reach the place of the map; warp it (rio warp)")
    return outline


def covered_cells(reference: PolygonReference) -> tuple[int, int]:
    """Count the labelled cells of a reference on a map's grid that goes on beyond the map: on the map, and all."""
    from rasterio import Affine
    from rasterio.features import bounds

    map_, place = reference.map, reference.map.transform
    boxes = np.array([bounds(polygon.geometry) for polygon in reference.polygons], np.float64)
    boxes = boxes[np.isfinite(boxes).all(1)]
    if not len(boxes):
        return 0, 0
    (left, bottom), (right, top) = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    first_column, last_column = (math.floor((x - place.c) / place.a) for x in (left, right))
    first_row, last_row = (math.floor((y - place.f) / place.e) for y in (top, bottom))
    rows, columns = last_row - first_row + 1, last_column - first_column + 1
    step = max(1, math.ceil(math.sqrt(rows * columns / MOST_CELLS)))
    at = Affine(step * place.a, 0, place.c + first_column * place.a, 0, step * place.e, place.f + first_row * place.e)
    shape = math.ceil(rows / step), math.ceil(columns / step)
    owner = owners(reference.polygons, at, (0, shape[0]), shape[1], reference.file)
    row, column = np.nonzero(reference.classes[owner])
    row, column = first_row + step * (row + 0.5), first_column + step * (column + 0.5)
    inside = (row >= 0) & (row < map_.height) & (column >= 0) & (column < map_.width)
    return int(inside.sum()), len(row)
