"""Read polygons of Local Climate Zones from GeoJSON, for training and for assessing maps.

Each polygon has its class in a property `lcz`, `LCZ`, `class` or `Class`: a number 1 to 17 or a letter A to G.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compactnas.errors import UserError
from compactnas.io.untrusted import parse_json, read_text
from compactnas.lcz import NAMES

PROPERTIES = ("lcz", "LCZ", "class", "Class")
LETTERS = {letter: 11 + place for place, letter in enumerate("ABCDEFG")}
LON_LAT = "EPSG:4326"
SYSTEM = re.compile(r"(?:urn:ogc:def:crs:EPSG:[\d.]{0,8}:|EPSG:)(\d{4,6})", re.IGNORECASE)
"""Accepted names of coordinate systems. Other names could make GDAL open files and URLs."""


class Polygon(NamedTuple):
    """Polygon with its GeoJSON geometry and its LCZ index, 0 to 16."""

    geometry: dict[str, Any]
    lcz: int


def read_polygons(file: Path, crs: Any) -> list[Polygon]:
    """Read the polygons of a file, in order, and convert them to a coordinate system.

    Raises:
        UserError: The file is not GeoJSON, or has no polygon.
    """
    polygons = list(_polygons(file, crs))
    if not polygons:
        raise UserError(f"{file}: has no polygon; draw some with a property lcz")
    return polygons


def owners(
    polygons: list[Polygon], transform: Any, rows: tuple[int, int], columns: int, file: Path
) -> NDArray[np.int32]:
    """Return the number (from 1) of the polygon at each pixel centre: 0 for none, the last one of several.

    Args:
        polygons: Polygons of `file`.
        transform: Affine transform of the whole grid.
        rows: First row to fill, and the row after the last one.
        columns: Number of columns of the grid.
        file: File name for error messages.
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
                shapes, (stop - start, columns), transform=place, fill=0, dtype="int32"
            )
    except (RasterioError, ShapeSkipWarning, ValueError, TypeError, LookupError, AttributeError) as error:
        raise UserError(f"{file}: has a polygon that cannot be rasterized ({error}); draw it again") from error
    return found


def _polygons(file: Path, crs: Any) -> Iterator[Polygon]:
    from rasterio.errors import RasterioError
    from rasterio.warp import transform_geom

    try:
        content = parse_json(read_text(file, "export the polygons again with fewer features or properties"))
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{file}: is not GeoJSON ({error}); export the polygons again") from error
    features = content.get("features") if isinstance(content, dict) else None
    if not isinstance(features, list):
        raise UserError(f"{file}: has no list of features; export the polygons as a GeoJSON FeatureCollection")
    system = _system(content, file)
    for number, feature in enumerate(features, 1):
        where = f"{file}, feature {number}"
        geometry = feature.get("geometry") if isinstance(feature, dict) else None
        if not isinstance(geometry, dict) or geometry.get("type") not in ("Polygon", "MultiPolygon"):
            raise UserError(f"{where}: is not a Polygon or MultiPolygon; leave it out")
        lcz = _lcz(feature.get("properties"), where)
        try:
            yield Polygon(transform_geom(system, crs, geometry), lcz)
        except (RasterioError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise UserError(f"{where}: has coordinates that cannot be read ({error}); draw it again") from error


def _system(content: dict[str, Any], file: Path) -> str:
    """Return the coordinate system: longitude and latitude (RFC 7946), or the one in the older `crs` member."""
    try:
        name = content["crs"]["properties"]["name"] if content.get("crs") else LON_LAT
    except (KeyError, TypeError):
        name = None
    if not isinstance(name, str):
        raise UserError(f"{file}: its `crs` has no name; export the polygons in longitude and latitude")
    if name.endswith("CRS84"):
        return LON_LAT
    code = SYSTEM.fullmatch(name)
    if code is None:
        raise UserError(f"{file}: its `crs` is {name[:60]!r}; name it as EPSG:32633, or export longitude and latitude")
    return f"EPSG:{code[1]}"


def _lcz(properties: object, where: str) -> int:
    """Return the LCZ index of a feature, 0 to 16."""
    values = properties if isinstance(properties, dict) else {}
    word = next((values[name] for name in PROPERTIES if name in values), None)
    text = str(word).strip().upper()
    number = LETTERS.get(text, int(text) if text.isdecimal() and len(text) < 4 else 0)
    if isinstance(word, float) and word.is_integer():
        number = int(word)
    if not 1 <= number <= len(NAMES):
        raise UserError(f"{where}: a property {' or '.join(PROPERTIES)} must hold 1 to 17 or A to G, not {word!r}")
    return number - 1
