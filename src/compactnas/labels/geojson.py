"""Read GeoJSON as plain values, and write it again without what GDAL should not see."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from compactnas.errors import UserError
from compactnas.io.untrusted import parse_json, read_text

LON_LAT = "EPSG:4326"
SYSTEM = re.compile(
    r"(?:urn:(?:x-)?ogc:def:crs:EPSG:[\d.]{0,8}:|EPSG:|https?://www\.opengis\.net/def/crs/EPSG/[\d.]{1,8}/)(\d{4,6})",
    re.IGNORECASE,
)
"""Accepted names of coordinate systems. Other names could make GDAL open files and URLs."""
DEPTHS = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}
"""Number of lists around a position, by type of geometry."""
MOST_NESTED = 8
"""Maximum number of collections inside each other."""


def plain_geojson(file: Path) -> tuple[str, str]:
    """Read a GeoJSON file.

    Returns:
        A FeatureCollection with plain properties and positions of two numbers, and its coordinate system.

    Raises:
        UserError: The file is not GeoJSON, or names a coordinate system that is not accepted.
    """
    remedy = "export the polygons again with fewer features or properties, or as GeoPackage"
    try:
        content = parse_json(read_text(file, remedy).removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}"))
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{file}: is not GeoJSON ({error}); export the polygons again") from error
    if isinstance(content, dict) and content.get("type") == "Feature":
        content = {"crs": content.get("crs"), "features": [content]}
    features = content.get("features") if isinstance(content, dict) else None
    if not isinstance(features, list):
        raise UserError(f"{file}: has no list of features; export the polygons as a GeoJSON FeatureCollection")
    system = _system(content, file)
    plain = [_feature(feature, f"{file}, feature {number}") for number, feature in enumerate(features, 1)]
    text = json.dumps({"type": "FeatureCollection", "features": plain})
    return text.replace("<", "\\u003c"), system  # GDAL looks for tags of XML formats at the start of any file


def _system(content: dict[str, Any], file: Path) -> str:
    """Return the coordinate system: longitude and latitude (RFC 7946), or the one in the older `crs` member."""
    crs = content.get("crs")
    if not crs:
        return LON_LAT
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if isinstance(properties, dict) and isinstance(properties.get("code"), int) and crs.get("type") == "EPSG":
        name = f"EPSG:{properties['code']}"
    if not isinstance(name, str):
        raise UserError(f"{file}: its `crs` has no name; export the polygons in longitude and latitude")
    if name.endswith("CRS84"):
        return LON_LAT
    code = SYSTEM.fullmatch(name)
    if code is None:
        raise UserError(f"{file}: its `crs` is {name[:60]!r}; name it as EPSG:32633, or export longitude and latitude")
    return f"EPSG:{code[1]}"


def _feature(feature: object, where: str) -> dict[str, Any]:
    if not isinstance(feature, dict):
        raise UserError(f"{where}: is not a GeoJSON feature; export the polygons again")
    properties = feature.get("properties")
    plain = properties.items() if isinstance(properties, dict) else ()
    return {
        "type": "Feature",
        "properties": {name: value for name, value in plain if isinstance(value, str | int | float | None)},
        "geometry": _geometry(feature.get("geometry"), where),
    }


def _geometry(geometry: object, where: str, nested: int = 0) -> dict[str, Any] | None:
    if geometry is None:
        return None
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if isinstance(geometry, dict) and kind == "GeometryCollection" and isinstance(geometry.get("geometries"), list):
        if nested > MOST_NESTED:
            raise UserError(f"{where}: has collections nested too deeply; draw it again")
        return {"type": kind, "geometries": [_geometry(one, where, nested + 1) for one in geometry["geometries"]]}
    if not isinstance(geometry, dict) or not isinstance(kind, str) or kind not in DEPTHS:
        raise UserError(f"{where}: has a geometry of type {str(kind)[:40]!r}; draw it again as a Polygon")
    rings = kind.endswith("Polygon")
    return {"type": kind, "coordinates": _positions(geometry.get("coordinates"), DEPTHS[kind], where, rings=rings)}


def _positions(values: object, depth: int, where: str, *, rings: bool) -> list[Any]:
    """Read positions; `rings` closes lists of them that end elsewhere than they begin."""
    if not isinstance(values, list):
        raise UserError(f"{where}: has coordinates that cannot be read ({str(values)[:40]}); draw it again")
    if depth:
        found = [_positions(inner, depth - 1, where, rings=rings) for inner in values]
        return [*found, found[0]] if depth == 1 and rings and len(found) > 2 and found[0] != found[-1] else found
    numbers = [value for value in values[:2] if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < 2 or not all(map(math.isfinite, numbers)):
        raise UserError(f"{where}: has coordinates that cannot be read ({str(values)[:40]}); draw it again")
    return numbers
