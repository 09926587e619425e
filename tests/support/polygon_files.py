"""Write polygons of Local Climate Zones in any format of pyogrio."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

Ring = list[tuple[float, float]]
DRIVERS = {".geojson": "GeoJSON", ".shp": "ESRI Shapefile", ".gpkg": "GPKG", ".fgb": "FlatGeobuf"}


def square(left: float, top: float, side: float) -> Ring:
    """Make the closed ring of a square."""
    right, bottom = left + side, top - side
    return [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]


def write_polygons(path: Path, rings: Sequence[Ring], lcz: Sequence[int], epsg: int) -> Path:
    """Write polygons with a field `lcz`; the suffix of the path names the format."""
    from pyogrio.raw import write

    shapes = np.array([_wkb(ring) for ring in rings], dtype=object)
    fields, values = np.array(["lcz"]), [np.array(lcz, np.int32)]
    options = {"geometry_type": "Polygon", "crs": f"EPSG:{epsg}", "driver": DRIVERS[path.suffix]}
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, shapes, values, fields, **options)
    return path


def _wkb(ring: Ring) -> bytes:
    """Write a polygon of one ring as little-endian well-known binary."""
    return struct.pack("<BIII", 1, 3, 1, len(ring)) + b"".join(struct.pack("<dd", *point) for point in ring)
