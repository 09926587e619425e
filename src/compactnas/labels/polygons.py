"""Read labelled polygons from vector files, for training and for assessing maps."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compactnas.errors import UserError
from compactnas.labels.classes import is_missing
from compactnas.labels.fields import classes_of, plain_name, text_of
from compactnas.labels.geojson import LON_LAT
from compactnas.labels.reading import Features, counted, read_features
from compactnas.labels.shapes import Bounds, faults, meets, shapes_of

OPTION = "--data.label-field"
IDENTITIES = ("id", "fid", "objectid", "ogcfid", "uuid", "globalid", "polygonid")
"""Usual names of fields that identify features, in lower case and without underscores."""
LONGEST_NAME = 60


class Polygon(NamedTuple):
    """Polygon with its class.

    Attributes:
        geometry: Polygon or MultiPolygon of shapely.
        label: Index of its class; 0 to 16 for Local Climate Zones.
        name: Name of the polygon, for groups and messages.
    """

    geometry: Any
    label: int
    name: str


@dataclass(frozen=True)
class Polygons:
    """Labelled polygons of a file.

    Attributes:
        file: File that they come from.
        each: Polygons, in the order of the file.
        classes: Names of the classes.
        lcz: Whether the classes are the 17 Local Climate Zones.
        notes: Assumptions, repairs and omissions, one line each.
    """

    file: Path
    each: list[Polygon]
    classes: tuple[str, ...]
    lcz: bool
    notes: tuple[str, ...]


def read_polygons(
    file: Path,
    crs: Any,
    bounds: Bounds | None = None,
    label_field: str = "",
    option: str = OPTION,
    lcz_only: bool = False,
) -> Polygons:
    """Read the polygons of a file, and convert them to the coordinate system of a map.

    Polygons without a class, exact copies of others and features without polygons are left out, with a note.

    Args:
        file: GeoJSON, KML, KMZ, GeoPackage, shapefile (also in a zip file), FlatGeobuf or GeoParquet.
        crs: Coordinate system of the map, an object of rasterio.
        bounds: Left, bottom, right and top of the map in `crs`, to recognise swapped coordinates.
        label_field: Name of the field with the classes; if empty, the first usual one that holds zones.
        option: Option that sets `label_field`, for messages.
        lcz_only: Whether classes other than Local Climate Zones are errors.

    Raises:
        UserError: The file cannot be read, has no labelled polygon, or has a wrong class or an invalid polygon.
    """
    features = read_features(file)
    with np.errstate(invalid="ignore", over="ignore"):  # faulty coordinates may be NaN or huge
        shapes = shapes_of(features, crs, bounds)
    notes = [*features.notes, *shapes.notes]
    if not shapes.rows:
        seen = f" ({'; '.join(note.removeprefix(f'{file}: ') for note in notes)})" if notes else ""
        raise UserError(f"{file}: has no polygon{seen}; draw some with a field lcz")
    classes = classes_of(features, shapes.rows, label_field, option, lcz_only)
    notes += classes.notes
    names = _names(features, shapes.rows)
    labels = classes.indices[shapes.rows].tolist()
    polygons = [Polygon(*one) for one in zip(shapes.shapes, labels, names, strict=True) if one[1] >= 0]
    if len(polygons) < len(labels):
        notes.append(f"{file}: {counted(len(labels) - len(polygons), 'polygon')} without a class left out")
    if not polygons:
        raise UserError(f"{file}: no polygon has a class; fill in the field {label_field or 'lcz'}")
    once = _without_copies(polygons)
    if len(once) < len(polygons):
        notes.append(f"{file}: {counted(len(polygons) - len(once), 'polygon')} left out as copies of others")
    return Polygons(file, once, classes.names, classes.lcz, tuple(notes))


def _names(features: Features, rows: Sequence[int]) -> list[str]:
    """Name polygons by a field whose values are all different, or by their position in the file.

    With such a field, a polygon keeps its name if another one is deleted.
    """
    for name, column in features.fields.items():
        if plain_name(name) in IDENTITIES:
            values = [text_of(value) for value in column[rows] if not is_missing(value)]
            if len(set(values)) == len(rows) and all(0 < len(value) <= LONGEST_NAME for value in values):
                return [f"polygon {value}" for value in values]
    return [f"polygon {row + 1}" for row in rows]


def _without_copies(polygons: list[Polygon]) -> list[Polygon]:
    """Drop polygons with the class and the outline of an earlier one."""
    import shapely

    # A corner may lie at 1e308 m, where areas are infinite or no number; the comparison is of bytes.
    with np.errstate(over="ignore", invalid="ignore"):
        plain = shapely.to_wkb(shapely.normalize([polygon.geometry for polygon in polygons]))
    first: dict[tuple[bytes, int], Polygon] = {}
    for content, polygon in zip(plain, polygons, strict=True):
        first.setdefault((content, polygon.label), polygon)
    return list(first.values())


def owners(
    polygons: Sequence[Polygon], transform: Any, rows: tuple[int, int], columns: int, file: Path, first: bool = False
) -> NDArray[np.int32]:
    """Return the number (from 1) of the polygon at each pixel centre: 0 for none, the last one of several.

    Args:
        polygons: Polygons of `file`.
        transform: Affine transform of the whole grid.
        rows: First row to fill, and the row after the last one.
        columns: Number of columns of the grid.
        file: File name for error messages.
        first: Whether to take the first one of several polygons.
    """
    from rasterio import Affine
    from rasterio.errors import RasterioError, ShapeSkipWarning
    from rasterio.features import rasterize

    t, (start, stop) = transform, rows
    place = Affine(t.a, t.b, t.c, t.d, t.e, t.f + start * t.e)
    shapes = [(polygon.geometry, number) for number, polygon in enumerate(polygons, 1)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ShapeSkipWarning)
            found: NDArray[np.int32] = rasterize(
                shapes[::-1] if first else shapes, (stop - start, columns), transform=place, fill=0, dtype="int32"
            )
    except (RasterioError, ShapeSkipWarning, ValueError, TypeError, LookupError, AttributeError) as error:
        raise UserError(f"{file}: has a polygon that cannot be rasterized ({error}); draw it again") from error
    return found


@dataclass
class Overlaps:
    """Count of the pixels in polygons of two classes, over strips of a grid.

    Attributes:
        polygons: Polygons of a file.
        unit: Noun for the pixels in the note.
        pixels: Number of pixels.
        pair: Names of two polygons of different classes that overlap.
    """

    polygons: Polygons
    unit: str = "pixel"
    pixels: int = 0
    pair: tuple[str, ...] = ()
    _labels: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self._labels = np.array([-1, *(polygon.label for polygon in self.polygons.each)], np.int64)

    def count(self, owner: NDArray[np.int32], transform: Any, rows: tuple[int, int]) -> None:
        """Count the pixels of some rows, whose last polygons are `owner`."""
        each, file = self.polygons.each, self.polygons.file
        if not owner.any() or (self._labels[1:] == self._labels[1]).all():
            return
        first = owners(each, transform, rows, owner.shape[1], file, first=True)
        differ = self._labels[first] != self._labels[owner]
        self.pixels += int(differ.sum())
        if not self.pair and differ.any():
            at = differ.ravel().argmax()
            self.pair = tuple(each[number.ravel()[at] - 1].name for number in (first, owner))

    @property
    def notes(self) -> tuple[str, ...]:
        """The note, if there are such pixels."""
        if not self.pixels:
            return ()
        return (
            f"{self.polygons.file}: {counted(self.pixels, self.unit)} in polygons of two classes (such as "
            f"{' and '.join(self.pair)}); the later polygon counts",
        )


def elsewhere(polygons: Polygons, bounds: Bounds, crs: Any, what: str) -> str:
    """Say where polygons lie if none meets a map; nothing if one does.

    Args:
        polygons: Polygons in `crs`.
        bounds: Left, bottom, right and top of the map.
        crs: Coordinate system of the map.
        what: Name of the map.
    """
    import shapely

    shapes = np.array([polygon.geometry for polygon in polygons.each], object)
    if meets(shapes, bounds).any():
        return ""
    left, bottom, right, top = shapely.bounds(shapes).T
    theirs = _degrees(crs, (left.min() + right.max()) / 2, (bottom.min() + top.max()) / 2)
    own = _degrees(crs, (bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2)
    count = len(polygons.each)
    none, they = (
        (f"none of its {count:,} polygons lies", "they lie") if count > 1 else ("its polygon does not lie", "it lies")
    )
    return (
        f"{polygons.file}: {none} on {what}: {they} around {theirs}, the scene around {own}; give polygons of the same "
        "place"
    )


def _degrees(crs: Any, x: float, y: float) -> str:
    from rasterio.warp import transform

    try:
        (longitude,), (latitude,) = transform(crs, LON_LAT, [x], [y])
    except faults():
        return f"{x:.0f}, {y:.0f}"
    return f"longitude {longitude:.2f}, latitude {latitude:.2f}"
