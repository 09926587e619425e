"""Labels and splits: valid files in every format, and how each of them is read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from compactnas.adopted.describing import classes_of as described_classes
from compactnas.data.source import Facts
from compactnas.data.split_csv import read_split_csv
from compactnas.labels.fields import classes_of
from compactnas.labels.polygons import owners, read_polygons
from compactnas.labels.reading import Features
from support import polygons as shapes
from support.map_files import EPSG, LEFT, TOP
from support.polygons import (
    SQUARES,
    degrees,
    feature,
    placemark,
    ring_of,
    write_geojson,
    write_kml,
    write_polygons,
)

Files = dict[str, bytes]
RINGS = [ring_of(square) for square in SQUARES]
ZONES = {"lcz": [square.lcz for square in SQUARES], "name": ["one", "two", "three"]}
BOUNDS = (LEFT, TOP - 960.0, LEFT + 1280.0, TOP)
ROWS, COLUMNS = 24, 32
"""A grid of 40 m over the test scene, to rasterize what was read."""


def _read_back(where: Path) -> Files:
    return {file.name: file.read_bytes() for file in sorted(where.iterdir())}


def geojson(folder: Path) -> list[Files]:
    """In degrees, and in metres with an old `crs` member and several types of geometry."""
    plain = [feature(degrees(ring), lcz=square.lcz) for ring, square in zip(RINGS, SQUARES, strict=True)]
    mixed = [feature(ring, Class="LCZ 2", id=number) for number, ring in enumerate(RINGS)]
    mixed[0]["geometry"] = {"type": "MultiPolygon", "coordinates": [mixed[0]["geometry"]["coordinates"]]}
    mixed[1]["geometry"] = {"type": "GeometryCollection", "geometries": [mixed[1]["geometry"]]}
    system = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{EPSG}"}}
    files = write_geojson(folder / "a.geojson", *plain), write_geojson(folder / "b.geojson", *mixed, crs=system)
    return [{"p.geojson": file.read_bytes()} for file in files]


def kml(folder: Path) -> list[Files]:
    """WUDAPT's folders of zones, fields of placemarks, and both in a KMZ."""
    places = [placemark(degrees(ring), f"LCZ {square.lcz}") for ring, square in zip(RINGS, SQUARES, strict=True)]
    data = '<ExtendedData><Data name="lcz"><value>3</value></Data></ExtendedData>'
    inside = shapes.folder("LCZ 2 compact midrise", *places), placemark(degrees(RINGS[0]), "x", data)
    write_kml(folder / "a.kml", *inside)
    write_kml(folder / "b.kml", *places)
    write_polygons(folder / "c" / "p.kmz", [degrees(ring) for ring in RINGS], ZONES)
    return [{"p.kml": (folder / name).read_bytes()} for name in ("a.kml", "b.kml")] + [_read_back(folder / "c")]


def geopackage(folder: Path) -> list[Files]:
    """In degrees and in metres."""
    write_polygons(folder / "a" / "p.gpkg", [degrees(ring) for ring in RINGS], ZONES)
    write_polygons(folder / "b" / "p.gpkg", RINGS, ZONES, f"EPSG:{EPSG}")
    return [_read_back(folder / "a"), _read_back(folder / "b")]


def shapefile(folder: Path) -> list[Files]:
    """With its parts beside it, and in a zip file."""
    write_polygons(folder / "a" / "p.shp", RINGS, ZONES, f"EPSG:{EPSG}")
    write_polygons(folder / "b" / "p.zip", [degrees(ring) for ring in RINGS], ZONES)
    return [_read_back(folder / "a"), _read_back(folder / "b")]


def flatgeobuf(folder: Path) -> list[Files]:
    """In degrees and in metres."""
    write_polygons(folder / "a" / "p.fgb", [degrees(ring) for ring in RINGS], ZONES)
    write_polygons(folder / "b" / "p.fgb", RINGS, ZONES, f"EPSG:{EPSG}")
    return [_read_back(folder / "a"), _read_back(folder / "b")]


def read_vector(folder: Path) -> None:
    """Read the polygons of the one file `p.*` and rasterize them, as scenes and assessments do."""
    from rasterio import Affine
    from rasterio.crs import CRS

    known = (".geojson", ".kml", ".kmz", ".gpkg", ".shp", ".zip", ".fgb")
    file = next((folder / f"p{suffix}" for suffix in known if (folder / f"p{suffix}").exists()), folder / "p.geojson")
    found = read_polygons(file, CRS.from_epsg(EPSG), BOUNDS)
    owners(found.each, Affine(40, 0, LEFT, 0, -40, TOP), (0, ROWS), COLUMNS, file)


def tables(folder: Path) -> list[Files]:
    """Fields of features as JSON, and a list of classes as people type it."""
    several = {"field": "", "lcz_only": False, "fields": {"id": [1, 2, 3], "Class": ["LCZ 2", "G", "LCZ 3"]}}
    chosen = {"field": "use", "lcz_only": False, "fields": {"use": ["town", "sea", None], "lcz": [1.0, 2.0, None]}}
    listed = (b"water\nforest\ntown\n", b'["water", "forest", "town"]')
    tables = (json.dumps(several).encode(), json.dumps(chosen).encode())
    return [{"table.json": table, "classes.txt": names} for table, names in zip(tables, listed, strict=True)]


def read_table(folder: Path) -> None:
    """Read the class of each feature from a table of any values, as GDAL could give them, and the list of classes."""
    if (folder / "classes.txt").exists():
        described_classes(str(folder / "classes.txt"))
    raw = _json_or_nothing(folder / "table.json")
    fields = raw.get("fields")
    columns = {str(name): _column(values) for name, values in (fields if isinstance(fields, dict) else {}).items()}
    rows = max(map(len, columns.values()), default=0)
    columns = {name: np.append(values, [None] * (rows - len(values))) for name, values in columns.items()}
    where = [f"feature {row}" for row in range(1, rows + 1)]
    features = Features(folder / "table.json", "", np.full(rows, None), columns, where, ())
    field = raw.get("field")
    classes_of(
        features, range(rows), field if isinstance(field, str) else "", "--label-field", raw.get("lcz_only") is True
    )


def _column(values: object) -> np.ndarray:
    """A field with the types that readers give: text, whole numbers and others, or None."""
    plain = values if isinstance(values, list) else [values]
    column = np.full(len(plain), None, object)
    for row, value in enumerate(plain):
        column[row] = value if isinstance(value, str | int | float | None) else json.dumps(value)
    return column


def _json_or_nothing(file: Path) -> dict[str, object]:
    try:
        raw = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return raw if isinstance(raw, dict) else {}


FACTS = Facts(
    "made",
    ("a",),
    ("x", "y"),
    8,
    np.arange(8) % 2,
    keys=["a/1.png", "a/2.png", "b/1.png", "b/2 é.png", "c,d/1.png", 'e"f.png', "a/1.png", "x"],
)


def splits(folder: Path) -> list[Files]:
    """As people write them: with groups, quotes, a byte order mark, Windows paths and line ends."""
    plain = "path,split,group\na/1.png,train,Rome\na/2.png,test,Oslo\nb/1.png,val,\n"
    odd = '\ufeffsplit,path\r\nTraining,a\\1.png\r\n"test","c,d/1.png"\r\nvalidation,"e""f.png"\r\n'
    return [{"split.csv": text.encode()} for text in (plain, odd)]


def read_split(folder: Path) -> None:
    """Read the parts of eight patches."""
    read_split_csv(folder / "split.csv", FACTS)
