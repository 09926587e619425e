"""Recognise scenes by the names of files alone, and list the scenes of a folder."""

from __future__ import annotations

from pathlib import Path

from compactnas.scenes.cube_files import SUFFIXES as CUBES
from compactnas.scenes.cube_files import is_store
from compactnas.scenes.files import SUFFIXES
from compactnas.scenes.landsat import HLS, LANDSAT
from compactnas.scenes.product import driver_of
from compactnas.scenes.sentinel import band_of

VRT = ".vrt"
FILES = SUFFIXES | CUBES | {VRT}
"""Suffixes of a scene in one file, in lower case."""
FOLDERS = (".safe", ".zarr")
"""Suffixes of a scene in a folder."""
POLYGONS = (".geojson", ".gpkg", ".kml", ".kmz", ".shp", ".fgb", ".parquet", ".geoparquet")
"""Suffixes of files of polygons beside a scene, in order of preference."""
LABEL_RASTER = "_lcz.tif"
"""End of the name of a label raster, which comes before all polygons."""
LABELS = (LABEL_RASTER, *POLYGONS)
"""Ends of label files beside a scene."""
KINDS = "a GeoTIFF, VRT or netCDF file, a Zarr store, or a folder or product with one file per band"
"""Kinds of scenes, for messages."""


def is_scene_file(path: Path) -> bool:
    """Check for a scene in one file."""
    return path.suffix.lower() in FILES and path.is_file()


def is_scene_folder(path: Path) -> bool:
    """Check for a product, a Zarr store, or a folder whose files are named by their bands."""
    if not path.is_dir():
        return False
    if path.suffix.lower() in FOLDERS or is_store(path) or any(path.glob("MTD_MSIL*.xml")):
        return True
    try:
        files = [file for file in path.iterdir() if file.is_file()]
    except OSError:
        return False
    names = {file.name.lower() for file in files}
    return len({name for file in files if (name := _band(file, names))}) > 1


def scenes_in(folder: Path) -> tuple[Path, ...]:
    """List the scenes of a folder, sorted by name: folders, and files except labels (`*_lcz.tif`, `labels.tif`)."""
    found = (path for path in folder.iterdir() if not path.name.startswith("."))
    return tuple(
        sorted(path for path in found if is_scene_folder(path) or (is_scene_file(path) and not _holds_labels(path)))
    )


def stem_of(scene: Path) -> str:
    """Name of a scene without its suffix; a plain folder has none."""
    known = scene.suffix.lower() in (*FILES, *FOLDERS)
    return scene.stem if known else scene.name


def _band(file: Path, names: set[str]) -> str:
    """Name of the band in a file of a product; empty for other files, and for scenes with labels beside them."""
    if not driver_of(file) or _holds_labels(file) or any(f"{file.stem}{end}".lower() in names for end in LABELS):
        return ""
    landsat, hls = LANDSAT.match(file.stem), HLS.match(file.stem)
    if landsat or hls:
        return file.stem.upper()
    return band_of(file)


def _holds_labels(path: Path) -> bool:
    return path.stem.lower().endswith("_lcz") or path.stem.lower() == "labels"
