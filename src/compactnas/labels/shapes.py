"""Read the polygons of features: parts, repairs, coordinate systems."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from compactnas.errors import UserError
from compactnas.labels.reading import Features, counted

SAME_AREA = 0.01
"""Largest relative change of a polygon's area by a repair."""
MOST_HOLES = 500
"""Maximum number of holes of a polygon. The memory for checking them grows with the square of their number."""
NOWHERE = 1e300
"""Coordinate of points that cannot be converted; NaN would leave rings open."""
Points = Float64[np.ndarray, "points 2"]
Bounds = tuple[float, float, float, float]
"""Left, bottom, right and top."""


@dataclass
class Shapes:
    """Polygons of features, in one coordinate system.

    Attributes:
        rows: Row of the feature of each polygon.
        shapes: Valid Polygons and MultiPolygons of shapely.
        notes: Repairs and omissions, one line each.
    """

    rows: list[int] = field(default_factory=list)
    shapes: list[Any] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class _Faulty(NamedTuple):
    """Fault of a polygon."""

    reason: str


def shapes_of(features: Features, crs: Any, bounds: Bounds | None) -> Shapes:
    """Read the polygons of features, and convert them to a coordinate system.

    Features without polygons are left out, and counted in a note. Coordinates with latitude first are swapped if that
    alone brings the polygons onto the map.

    Args:
        features: Features of a file.
        crs: Coordinate system of the map, an object of rasterio.
        bounds: Edges of the map in `crs`, or None.

    Raises:
        UserError: A polygon is invalid, or its coordinates cannot be converted.
    """
    found, skipped, repaired = Shapes(), Counter[str](), 0
    for row, content in enumerate(features.geometries):
        if content is None:
            skipped["without a geometry"] += 1
            continue
        shape = _polygon(content)
        if isinstance(shape, str):
            skipped[shape] += 1
            continue
        if not isinstance(shape, _Faulty):
            shape, changed = _repaired(shape)
            repaired += changed
        if isinstance(shape, _Faulty):
            where = f"{features.file}, {features.where[row]}"
            raise UserError(f"{where}: its polygon has {shape.reason}; draw it again (QGIS: Fix geometries)")
        found.rows.append(row)
        found.shapes.append(shape)
    for why, count in sorted(skipped.items()):
        found.notes.append(f"{features.file}: {counted(count, 'feature')} {why} left out")
    if repaired:
        found.notes.append(f"{features.file}: {counted(repaired, 'polygon')} repaired, whose outline touches itself")
    return _converted(found, features, crs, bounds) if found.shapes else found


def _polygon(content: bytes) -> Any:
    """Return the polygons of a geometry as one; or a text that says why it has no polygon."""
    import shapely

    try:
        geometry = shapely.from_wkb(content)
    except shapely.errors.ShapelyError:
        return _Faulty("a ring that is not closed or has fewer than four points")
    if geometry.is_empty:
        return "with an empty geometry"
    if geometry.geom_type in ("Polygon", "MultiPolygon"):
        return geometry
    parts, waiting = [], [geometry]
    while waiting:
        part = waiting.pop()
        if part.geom_type == "Polygon" and not part.is_empty:
            parts.append(part)
        elif hasattr(part, "geoms"):
            waiting += part.geoms
    return shapely.MultiPolygon(parts[::-1]) if parts else "with points or lines only"


def _repaired(shape: Any) -> tuple[Any, bool]:
    """Make a shape valid if that leaves its area as it is; return it, and whether that changed it."""
    import shapely

    if not np.isfinite(shapely.get_coordinates(shape)).all():
        return _Faulty("a coordinate that is not a number"), False
    parts = list(getattr(shape, "geoms", (shape,)))
    holes = max(len(part.interiors) for part in parts)
    if holes > MOST_HOLES:
        return _Faulty(f"{holes} holes, more than {MOST_HOLES}"), False
    valid = [part if part.is_valid else _made_valid(part) for part in parts]
    faulty = next((part for part in valid if isinstance(part, _Faulty)), None)
    if faulty is not None:
        return faulty, False
    changed = any(new is not old for new, old in zip(valid, parts, strict=True))
    if len(valid) == 1:
        return valid[0], changed
    if not changed and shape.is_valid:
        return shape, False
    try:
        # Parts of one feature that overlap are one area; rasterizing would make holes of what they share.
        return shapely.union_all(valid), changed
    except shapely.errors.ShapelyError:
        return _Faulty("parts that cannot be joined"), False


def _made_valid(part: Any) -> Any:
    import shapely

    reason = shapely.is_valid_reason(part)
    kind, _, place = reason.partition("[")
    where = f" at {place.rstrip(']')}" if place else ""
    try:
        made = shapely.make_valid(part)
    except shapely.errors.ShapelyError:
        return _Faulty(f"a fault, {kind.lower()}{where}")
    pieces = [one for one in getattr(made, "geoms", (made,)) if one.geom_type in ("Polygon", "MultiPolygon")]
    area, drawn = sum(piece.area for piece in pieces), part.area
    if not pieces or not np.isfinite(area) or abs(area - drawn) > SAME_AREA * max(area, drawn):
        return _Faulty(
            f"an outline that crosses itself{where}"
            if kind == "Self-intersection"
            else f"a fault, {kind.lower()}{where}"
        )
    return (
        pieces[0]
        if len(pieces) == 1
        else shapely.MultiPolygon([one for piece in pieces for one in getattr(piece, "geoms", (piece,))])
    )


def _converted(found: Shapes, features: Features, crs: Any, bounds: Bounds | None) -> Shapes:
    import shapely
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        system = CRS.from_user_input(features.crs)
    except CRSError as error:
        text = " ".join(str(error).split())
        raise UserError(f"{features.file}: has an unknown coordinate system ({text}); export it again") from error
    drawn, shape = shapely.get_coordinates(found.shapes, return_index=True)
    points = _moved(drawn, shape, system, crs)
    shapes = shapely.set_coordinates(np.array(found.shapes, object), points)
    if system.is_geographic and bounds is not None and not meets(shapes, bounds).any():
        turned = _moved(drawn[:, ::-1], shape, system, crs)
        swapped = shapely.set_coordinates(shapes.copy(), turned)
        meeting = meets(swapped, bounds)
        if 2 * meeting.sum() > len(meeting):
            shapes, points, drawn = swapped, turned, drawn[:, ::-1]
            found.notes.append(
                f"{features.file}: latitude and longitude seem to be swapped, because only swapped do the polygons lie "
                f"on the scene ({meeting.sum()} of {len(meeting)}); they are read so"
            )
    lost = (points == NOWHERE).any(1)
    wrong = lost & ~_known(drawn, system) if system.is_geographic else lost
    if wrong.any():
        raise UserError(_lost(features, found, int(shape[wrong.argmax()]), system))
    kept = np.setdiff1d(np.arange(len(shapes)), shape[lost])
    if len(kept) < len(shapes):
        note = f"{counted(len(shapes) - len(kept), 'polygon')} left out, on another side of the earth"
        found.notes.append(f"{features.file}: {note}")
    return Shapes([found.rows[place] for place in kept], list(shapes[kept]), found.notes)


def _known(points: Points, system: Any) -> NDArray[np.bool_]:
    """Mark the points that can be places on the earth."""
    known: NDArray[np.bool_] = np.isfinite(points).all(1)
    return known & (np.abs(points) <= (360, 90)).all(1) if system.is_geographic else known


def _moved(points: Points, shape: NDArray[np.int64], system: Any, crs: Any) -> Points:
    """Convert points between coordinate systems; the points of a shape that cannot be converted become `NOWHERE`."""
    moved = np.full_like(points, NOWHERE)
    known = _known(points, system)
    if system == crs:
        moved[known] = points[known]
        return moved
    try:
        moved[known] = _transformed(points[known], system, crs)
    except faults():
        # GDAL refuses all points for one of them.
        edges = np.append(np.flatnonzero(np.diff(shape, prepend=-1)), len(shape))
        for start, stop in pairwise(edges.tolist()):
            with suppress(*faults()):
                if known[start:stop].all():
                    moved[start:stop] = _transformed(points[start:stop], system, crs)
    moved[~np.isfinite(moved).all(1)] = NOWHERE
    return moved


def _transformed(points: Points, system: Any, crs: Any) -> Points:
    from rasterio.warp import transform

    return np.column_stack(transform(system, crs, points[:, 0], points[:, 1]))


def faults() -> tuple[type[Exception], ...]:
    """Errors of a conversion between coordinate systems."""
    from rasterio._err import CPLE_BaseError  # GDAL's own errors, which rasterio does not always convert
    from rasterio.errors import RasterioError

    return RasterioError, CPLE_BaseError, ValueError


def meets(shapes: NDArray[np.object_], bounds: Bounds) -> NDArray[np.bool_]:
    """Mark the shapes whose box meets the map."""
    import shapely

    left, bottom, right, top = shapely.bounds(shapes).T
    meeting: NDArray[np.bool_] = (left < bounds[2]) & (right > bounds[0]) & (bottom < bounds[3]) & (top > bounds[1])
    return meeting


def _lost(features: Features, found: Shapes, place: int, system: Any) -> str:
    import shapely

    x, y = shapely.get_coordinates(found.shapes[place])[0].tolist()
    where = f"{features.file}, {features.where[found.rows[place]]}"
    if system.is_geographic and max(abs(x), abs(y)) > 360:
        return (
            f"{where}: {x:.10g}, {y:.10g} are no longitude and latitude; export the polygons in longitude and "
            "latitude, or in a format that names its coordinate system (GeoPackage)"
        )
    return f"{where}: {x:.10g}, {y:.10g} cannot be converted to the coordinate system of the scene; draw it again"
