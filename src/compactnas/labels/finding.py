"""Find the label file of a scene."""

from __future__ import annotations

from pathlib import Path

from compactnas.errors import UserError
from compactnas.scenes.kinds import LABEL_RASTER, POLYGONS

OTHER_VECTORS = (".json", ".zip")
"""Suffixes of files of polygons that must be named, because such a file beside a scene may be something else."""
UNREAD = {
    **dict.fromkeys((".shx", ".dbf", ".prj", ".cpg"), "is a part of a shapefile; name its .shp"),
    **dict.fromkeys(
        (".gml", ".csv", ".dxf", ".tab", ".mif", ".gdb", ".sqlite", ".gpx", ".topojson", ".qgz", ".qgs"),
        "is a format that is not read; export the polygons as GeoPackage or GeoJSON",
    ),
}
"""Reason to refuse other vector files, by suffix."""
SHARED = "labels"
"""Stem of the label file for all scenes of a folder that have no label file of their own."""


def is_vector(file: Path) -> bool:
    """Check by the suffix whether a file holds polygons.

    Raises:
        UserError: The file is of a vector format that is not read.
    """
    if file.suffix.lower() in UNREAD:
        raise UserError(f"{file}: {UNREAD[file.suffix.lower()]}")
    return file.suffix.lower() in (*POLYGONS, *OTHER_VECTORS)


def labels_beside(scene: Path) -> list[Path]:
    """Find the label files of a scene in its folder, in order of preference.

    They are `NAME_lcz.tif`, `NAME.geojson`, `NAME.gpkg` and so on. Without such a file, they are `labels.tif`,
    `labels.geojson` and so on, which belong to all scenes of the folder. Letters may be small or capital.

    Raises:
        UserError: There is no label file.
    """
    files = {file.name.lower(): file for file in sorted(scene.parent.iterdir(), reverse=True)}
    for stem, raster in ((scene.stem, LABEL_RASTER), (SHARED, ".tif")):
        names = [(stem + end).lower() for end in (raster, *POLYGONS)]
        found = [files[name] for name in names if name in files and files[name].is_file()]
        if found:
            return found
    others = ", ".join(POLYGONS[1:5])
    raise UserError(
        f"{scene}: no labels found; put {scene.stem}{LABEL_RASTER} or {scene.stem}.geojson (or {others}) "
        f"into the same folder, or {SHARED}.geojson for all its scenes, or set data.labels"
    )
