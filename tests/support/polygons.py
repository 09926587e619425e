"""Write polygons for the tests in every format that people bring."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from support.map_files import EPSG, LEFT, TOP

Ring = list[tuple[float, float]]
LON_LAT = "EPSG:4326"
DRIVERS = {
    ".geojson": "GeoJSON",
    ".gpkg": "GPKG",
    ".kml": "LIBKML",
    ".shp": "ESRI Shapefile",
    ".fgb": "FlatGeobuf",
}


class Square(NamedTuple):
    """A square of whole pixels of a test scene: column and row of its upper left pixel, side, and class."""

    column: int
    row: int
    side: int
    lcz: int


SQUARES = (Square(20, 20, 30, 2), Square(70, 30, 20, 14), Square(60, 60, 30, 17))
"""Three squares of a scene of 96 x 128 pixels."""


def ring_of(square: Square) -> Ring:
    """Outline of a square in the coordinates of the scene."""
    left, top = LEFT + 10 * square.column, TOP - 10 * square.row
    right, bottom = left + 10 * square.side, top - 10 * square.side
    return [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]


def degrees(ring: Sequence[tuple[float, float]]) -> Ring:
    """Convert an outline to longitude and latitude."""
    from rasterio.warp import transform

    longitude, latitude = transform(f"EPSG:{EPSG}", LON_LAT, *zip(*ring, strict=True))
    return [(float(x), float(y)) for x, y in zip(longitude, latitude, strict=True)]


def expected(
    squares: Iterable[Square] = SQUARES, file: str = "city.tif", window_px: int = 8, step: int = 10
) -> dict[str, int]:
    """Windows at the points of a grid that lie in the squares, found one point after the other.

    The grid has a point in every block of `step` pixels. The last of several squares wins.
    """
    found = {}
    for row in range(step // 2, 96, step):
        for column in range(step // 2, 128, step):
            for square in squares:
                if 0 <= row - square.row < square.side and 0 <= column - square.column < square.side:
                    found[f"{file}/{row - window_px // 2}/{column - window_px // 2}"] = square.lcz
    return found


def feature(ring: Sequence[tuple[float, float]] | None, **fields: object) -> dict[str, Any]:
    """Feature of GeoJSON with a polygon, or without a geometry."""
    geometry = None if ring is None else {"type": "Polygon", "coordinates": [[list(point) for point in ring]]}
    return {"type": "Feature", "properties": fields, "geometry": geometry}


def write_geojson(path: Path, *features: object, crs: object = None, start: str = "") -> Path:
    """Write features as a FeatureCollection, with an old `crs` member if one is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"type": "FeatureCollection", "features": list(features)} | ({"crs": crs} if crs else {})
    path.write_text(start + json.dumps(content), encoding="utf-8")
    return path


def write_polygons(
    path: Path, rings: Sequence[Ring], fields: dict[str, Sequence[object]], crs: str | None = LON_LAT
) -> Path:
    """Write polygons through pyogrio, in the format of the suffix; `.kmz` and `.zip` hold a KML and a shapefile."""
    import shapely
    from pyogrio.raw import write

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".kmz", ".zip"):
        inner = write_polygons(path.with_suffix(".kml" if path.suffix == ".kmz" else ".shp"), rings, fields, crs)
        parts = [part for part in path.parent.glob(f"{path.stem}.*") if part.suffix not in (".tif", path.suffix)]
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for part in parts if path.suffix == ".zip" else [inner]:
                archive.write(part, part.name if path.suffix == ".zip" else "doc.kml")
        for part in parts:
            part.unlink()
        return path
    columns = [np.array(values, object if isinstance(values[0], str) else None) for values in fields.values()]
    write(
        path,
        shapely.to_wkb(shapely.polygons(rings)),
        columns,
        np.array(list(fields)),
        geometry_type="Polygon",
        crs=crs,
        driver=DRIVERS[path.suffix],
    )
    return path


def placemark(ring: Sequence[tuple[float, float]] | None, name: str = "", inner: str = "") -> str:
    """Placemark of KML, with altitudes, as Google Earth writes it."""
    points = " ".join(f"{x:.12f},{y:.12f},0" for x, y in ring or ())
    polygon = (
        f"<Polygon><outerBoundaryIs><LinearRing><coordinates>{points}</coordinates></LinearRing></outerBoundaryIs>"
    )
    shape = f"{polygon}</Polygon>" if ring is not None else ""
    return f"<Placemark><name>{name}</name><styleUrl>#style</styleUrl>{inner}{shape}</Placemark>"


def write_kml(path: Path, *elements: str, head: str = "") -> Path:
    """Write a document of KML."""
    path.parent.mkdir(parents=True, exist_ok=True)
    body = f"<Document><name>[Berlin][2024]</name><Style id='style'/>{''.join(elements)}</Document>"
    path.write_text(
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<kml xmlns="http://www.opengis.net/kml/2.2">{body}</kml>'
    )
    return path


def folder(name: str, *elements: str) -> str:
    """Folder of KML."""
    return f"<Folder><name>{name}</name>{''.join(elements)}</Folder>"
