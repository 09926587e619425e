"""Scenes with label files: one window at each label, grouped by city, polygon or area.

A scene is anything that `compactnas.scenes.reading.open_scene` reads, such as `NAME.tif` or the folder `NAME.SAFE`. Its
labels are `NAME_lcz.tif`, a raster of LCZ numbers (`labels.rasters`), or polygons, `NAME.geojson`, `NAME.gpkg` and so
on (`labels.finding`). A folder holds such pairs, one per city, or scenes of the same place with one label file,
`labels.geojson` and so on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.config.reading import Reading
from compactnas.data.checks import require_patch, wrong_pixels
from compactnas.data.footprints import Footprints
from compactnas.data.formats import DataFormat
from compactnas.data.formats._labelled_scenes import LabelledScene, read_scenes
from compactnas.data.formats._scene_classes import classes_of
from compactnas.data.formats._scene_groups import groups_of
from compactnas.data.formats._scene_labels import WindowOptions
from compactnas.data.source import Facts, Images, Indices, Source, block_mean, reduced_px
from compactnas.errors import UserError
from compactnas.labels.files import label_file
from compactnas.lcz import NAMES
from compactnas.scenes.files import require_rasterio
from compactnas.scenes.kinds import KINDS, is_scene_file, is_scene_folder, scenes_in, stem_of
from compactnas.scenes.layers import LayeredScene
from compactnas.scenes.reading import open_scene
from compactnas.scenes.scene import Window

OF_SCENES = Reading(caller="data")
"""Options of training that read a scene as its files declare it."""


@dataclass(frozen=True)
class SceneSource:
    """Source that reads windows from the scenes on demand.

    Attributes:
        facts: Facts about the windows.
        scenes: The scenes.
        scene: Number of the scene of each window, (windows,).
        corners: Row and column of each window's upper left pixel, (windows, 2).
        window_px: Side of a window before downsampling.
        downsample: Side of the pixel blocks to average.
    """

    facts: Facts
    scenes: tuple[LabelledScene, ...]
    scene: Indices
    corners: Indices
    window_px: int
    downsample: int

    def batch(self, indices: Indices) -> tuple[Images, NDArray[np.int64]]:
        read: list[NDArray[Any] | None] = [None] * len(indices)
        for number in np.unique(self.scene[indices]):
            one = self.scenes[number]
            with open_scene(one.path, one.bands, one.reading) as scene:
                for place in np.flatnonzero(self.scene[indices] == number):
                    read[place] = self._window(scene, one.path, indices[place])
        return block_mean(np.stack([window for window in read if window is not None]), self.downsample), (
            self.facts.labels[indices]
        )

    def _window(self, scene: LayeredScene, path: Path, index: np.int64) -> NDArray[Any]:
        (row, column), side = self.corners[index].tolist(), self.window_px
        pixels = scene.values(Window(row, column, side, side))
        if pixels.dtype.kind == "f" and (wrong := wrong_pixels(pixels)):
            where = f"{path}, window at row {row}, column {column}"
            raise UserError(f"{where}: holds {wrong}; declare them as no data, or leave it out")
        return pixels


def is_scenes(path: Path) -> bool:
    """Check for a scene, or a folder with scenes."""
    return is_scene_file(path) if path.is_file() else is_scene_folder(path) or bool(scenes_in(path))


def open_scenes(
    path: Path,
    bands: tuple[str, ...] = (),
    downsample: int = 1,
    labels: str = "",
    window_px: int = 32,
    stride_px: int = 0,
    label_field: str = "",
    label_band: str = "",
    reading: Reading = OF_SCENES,
) -> Source:
    """Find the labelled windows of a scene, or of all scenes of a folder.

    Windows are centred on labels, `stride_px` pixels of the scene apart, with at least one in each polygon.
    Windows that cross the edge of the scene, or contain pixels without data or under clouds, are left out.

    Args:
        path: Scene or folder of scenes.
        bands: Names of the bands to keep.
        downsample: Side of the pixel blocks to average.
        labels: Label file of all scenes; empty uses the one beside each scene.
        window_px: Side of a window in pixels of the scene.
        stride_px: Distance between neighbouring windows in pixels of the scene; 0 means about 100 m.
        label_field: Field of the polygons that holds their class; empty uses a usual one.
        label_band: Band of a raster of labels, by number or description; by default `lcz`, or the first.
        reading: Options for reading the scenes.

    Raises:
        UserError: Labels are missing or wrong, scenes lack a band or have different pixel sizes, or no window fits into
            its scene.
    """
    require_rasterio(str(path))
    alone = not path.is_dir() or is_scene_folder(path)
    files = (path,) if alone else scenes_in(path)
    if not files:
        raise UserError(f"{path}: holds no scene; give {KINDS}")
    require_patch(window_px, max(1, len(bands)), str(path))
    options = WindowOptions(labels, window_px, stride_px, label_field, label_band)
    scenes = read_scenes(files, bands, options, reading)
    sizes = [len(one.windows.classes) for one in scenes]
    if not sum(sizes):
        raise UserError(_without_windows(path, scenes, window_px))
    scene = np.repeat(np.arange(len(files)), sizes)
    found = [one.windows for one in scenes]
    classes, numbers, lcz = classes_of(found)
    corners = np.concatenate([one.windows.corners for one in scenes])
    known = [one.footprints for one in scenes if one.footprints is not None]
    facts = Facts(
        name=stem_of(path) if alone else path.stem,
        bands=bands or scenes[0].bands,
        classes=classes,
        patch_px=reduced_px(window_px, downsample, str(path)),
        labels=numbers,
        groups=groups_of(files, found, scene),
        footprints=Footprints.joined(known) if len(known) == len(files) else None,
        keys=[f"{files[n].name}/{row}/{column}" for n, (row, column) in zip(scene, corners, strict=True)],
        lcz=lcz,
        label_files=tuple(dict.fromkeys(label_file(windows.file) for windows in found)),
        notes=tuple(dict.fromkeys(note for one in scenes for note in one.notes)),
    )
    return SceneSource(facts, scenes, scene, corners, window_px, downsample)


def _without_windows(path: Path, scenes: tuple[LabelledScene, ...], window_px: int) -> str:
    """Explain why no label has a window."""
    found = [one.windows for one in scenes]
    outside, holes = sum(windows.outside for windows in found), sum(windows.holes for windows in found)
    if all(windows.elsewhere for windows in found):
        return found[0].elsewhere
    if not any(windows.labels for windows in found):
        return f"{path}: its labels are all 0 or no data; give labels 1 to {len(NAMES)}"
    if not outside + holes:
        return f"{path}: the labels do not meet the scene; check their place and their coordinate system"
    if holes > outside:
        what = next((one.gaps for one in scenes if one.windows.holes), "no-data pixels")
        keep = ", or keep clouds with data.cloud_classes -" if "clouds" in what else ""
        return f"{path}: all windows of {window_px} pixels around the labels have {what}; lower data.window_px{keep}"
    return f"{path}: no label has a whole window of {window_px} pixels around it; lower data.window_px"


FORMAT = DataFormat(
    title="a scene (GeoTIFF, VRT, netCDF, Zarr or product) or a folder of scenes",
    detect=is_scenes,
    open=lambda config: open_scenes(
        Path(config.path),
        config.bands,
        config.downsample,
        config.labels,
        config.window_px,
        config.stride_px,
        config.label_field,
        config.label_band,
        config.reading,
    ),
    options=(
        "labels",
        "label_field",
        "label_band",
        "window_px",
        "stride_px",
        "scene_bands",
        "scale",
        "offset",
        "nodata",
        "mask",
        "cloud_classes",
        "resampling",
    ),
)
