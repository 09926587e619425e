"""Read features from files through pyogrio (the `map` extra); every fault becomes a `UserError`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.errors import UserError
from compactnas.io.extras import require_extra
from compactnas.labels.staging import Staged, staged

MOST_FEATURES = 100_000
"""Maximum number of features of a file. A small file can claim any number."""
MOST_FIELDS = 1000
MOST_LAYERS = 100
TITLES = {"LIBKML": "KML", "GPKG": "GeoPackage", "Parquet": "GeoParquet"}
"""Names of formats that GDAL calls otherwise."""
KML_FIELDS = frozenset(
    "description timestamp begin end altitudeMode tessellate extrude visibility drawOrder icon".split()
)
"""Fields that GDAL adds to every KML."""


@dataclass(frozen=True)
class Features:
    """Features of a file, over all of its layers.

    Attributes:
        file: File that they come from.
        crs: Coordinate system, as text for GDAL.
        geometries: Well-known binary of each feature, or None, (features,).
        fields: Values by name of field, (features,); None for features of a layer without the field.
        where: Name of each feature for messages, without the file.
        notes: Omissions, one line each.
    """

    file: Path
    crs: str
    geometries: NDArray[np.object_]
    fields: dict[str, NDArray[np.object_]]
    where: list[str]
    notes: tuple[str, ...]


def counted(number: int, noun: str) -> str:
    """Write a number with its noun, in the plural unless it is 1."""
    return f"{number:,} {noun}" + ("s" if number != 1 else "")


def require_pyogrio(what: str) -> None:
    """Check that pyogrio and shapely are installed.

    Raises:
        UserError: One of them is not installed.
    """
    require_extra("map", f"{what}: polygons need pyogrio and shapely", "pyogrio", "shapely")


def read_features(file: Path) -> Features:
    """Read all features of a file: GeoJSON, KML, KMZ, GeoPackage, shapefile, FlatGeobuf or GeoParquet.

    Raises:
        UserError: The file is not what its suffix says, is too large, or GDAL lacks the driver.
    """
    require_pyogrio(str(file))
    import pyogrio

    with staged(file) as copy, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # GDAL's remarks on single rings and fields; what matters is checked here
        if copy.driver not in _drivers():
            title = TITLES.get(copy.driver, copy.driver)
            raise UserError(f"{file}: GDAL cannot read {title} here; export the polygons as GeoPackage or GeoJSON")
        try:
            layers = [str(name) for name, geometry in pyogrio.list_layers(copy.path) if geometry is not None]
            if len(layers) > MOST_LAYERS:
                raise UserError(f"{file}: has {len(layers)} layers; keep one")
            return _joined(file, copy, layers, _layers(file, copy, layers))
        except NameError:  # a fault of pyogrio 0.13: it forgets to set the text that it could not decode
            raise UserError(f"{file}: its coordinate system is not text; export the polygons again") from None
        except (RuntimeError, ValueError, OSError, LookupError, TypeError, MemoryError) as error:
            if isinstance(error, UserError):
                raise
            text = " ".join(str(error).replace(str(copy.path), file.name).split()) or type(error).__name__
            raise UserError(f"{file}: cannot be read ({text}); export the polygons again") from error


@cache
def _drivers() -> frozenset[str]:
    """Names of the formats that GDAL can read here."""
    import pyogrio

    return frozenset(pyogrio.list_drivers())


@dataclass(frozen=True)
class _Layer:
    crs: str
    geometries: NDArray[Any]
    fields: dict[str, NDArray[Any]]


def _layers(file: Path, copy: Staged, names: list[str]) -> list[_Layer]:
    read: list[_Layer] = []
    for name in names:
        read.append(_layer(file, copy, name, MOST_FEATURES - sum(len(layer.geometries) for layer in read)))
    return read


def _layer(file: Path, copy: Staged, name: str, most: int) -> _Layer:
    import pyogrio

    info = pyogrio.read_info(copy.path, layer=name, force_feature_count=True)
    if info["driver"] != copy.driver:
        raise UserError(f"{file}: is {info['driver']}, not what its name says; export the polygons again")
    if info["features"] > most or len(info["fields"]) > MOST_FIELDS:
        raise UserError(
            f"{file}: says that it has {info['features']:,} features of {len(info['fields'])} fields; keep at most "
            f"{MOST_FEATURES:,} polygons, and the field of their classes"
        )
    meta, _, geometries, values = pyogrio.raw.read(
        copy.path, layer=name, force_2d=True, max_features=max(1, info["features"]), datetime_as_string=True
    )
    if len(geometries) != info["features"]:
        raise UserError(
            f"{file}: only {len(geometries)} of {info['features']:,} features can be read; the file is damaged, export "
            "the polygons again"
        )
    fields = dict(zip(map(str, meta["fields"]), values, strict=True))
    if copy.driver == "LIBKML":
        fields = {name: column for name, column in fields.items() if name not in KML_FIELDS}
    return _Layer(copy.crs or meta["crs"] or "", geometries, fields)


def _joined(file: Path, copy: Staged, names: list[str], layers: list[_Layer]) -> Features:
    """Join the layers of a file, in order."""
    systems = {layer.crs for layer in layers if len(layer.geometries)}
    if len(systems) > 1:
        raise UserError(f"{file}: its layers have different coordinate systems; keep one layer")
    if "" in systems:
        end = "again with its .prj file, or" if copy.driver == "ESRI Shapefile" else "again with one, or"
        raise UserError(f"{file}: has no coordinate system; export the polygons {end} as GeoPackage")
    sizes = [len(layer.geometries) for layer in layers]
    known = dict.fromkeys(name for layer in layers for name in layer.fields)
    nothing = [np.full(size, None, object) for size in sizes]
    fields = {
        name: np.concatenate(
            [layer.fields.get(name, none) for layer, none in zip(layers, nothing, strict=True)], dtype=object
        )
        for name in known
    }
    where = [
        f"feature {number}" if len(layers) == 1 else f"layer {name!r}, feature {number}"
        for name, size in zip(names, sizes, strict=True)
        for number in range(1, size + 1)
    ]
    geometries = np.concatenate([np.empty(0, object), *(layer.geometries for layer in layers)], dtype=object)
    return Features(file, systems.pop() if systems else "EPSG:4326", geometries, fields, where, copy.notes)
