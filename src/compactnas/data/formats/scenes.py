"""GeoTIFF scenes with label files: one window at each label, grouped by city, polygon or area.

A scene is `NAME.tif`. Its labels are `NAME_lcz.tif`, a raster of LCZ numbers (`labels.rasters`), or polygons,
`NAME.geojson`, `NAME.gpkg` and so on (`labels.finding`).
A folder holds such pairs, one per city, or scenes of the same place with one label file, `labels.geojson` and so on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.data.checks import require_patch
from compactnas.data.footprints import Footprints
from compactnas.data.formats import DataFormat
from compactnas.data.formats._scene_classes import classes_of
from compactnas.data.formats._scene_groups import groups_of
from compactnas.data.formats._scene_labels import WindowLabels, labelled_windows
from compactnas.data.source import Facts, Images, Indices, Source, band_positions, block_mean, reduced_px
from compactnas.errors import UserError
from compactnas.labels.files import label_file
from compactnas.labels.finding import is_label_raster, labels_beside
from compactnas.lcz import NAMES
from compactnas.scenes.bands import band_names
from compactnas.scenes.coordinates import place_of, require_upright_metres
from compactnas.scenes.files import opened, require_rasterio
from compactnas.scenes.numbers import ASSUMED, reflectance, scaling_of


@dataclass(frozen=True)
class SceneSource:
    """Source that reads windows from the scenes on demand.

    Attributes:
        facts: Facts about the windows.
        files: Paths of the scenes.
        scene: Number of the scene of each window, (windows,).
        corners: Row and column of each window's upper left pixel, (windows, 2).
        window_px: Side of a window before downsampling.
        positions: Positions of the bands to keep.
        downsample: Side of the pixel blocks to average.
    """

    facts: Facts
    files: tuple[Path, ...]
    scene: Indices
    corners: Indices
    window_px: int
    positions: list[int]
    downsample: int

    def batch(self, indices: Indices) -> tuple[Images, NDArray[np.int64]]:
        read: list[NDArray[Any] | None] = [None] * len(indices)
        for number in np.unique(self.scene[indices]):
            with opened(self.files[number]) as raster:
                for place in np.flatnonzero(self.scene[indices] == number):
                    read[place] = self._window(raster, indices[place])
        return block_mean(np.stack([window for window in read if window is not None]), self.downsample), (
            self.facts.labels[indices]
        )

    def _window(self, raster: Any, index: np.int64) -> NDArray[Any]:
        from rasterio.windows import Window

        (row, column), side = self.corners[index].tolist(), self.window_px
        pixels = reflectance(raster.read(window=Window(column, row, side, side)), raster)[self.positions]
        if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
            where = f"{raster.name}, window at row {row}, column {column}"
            raise UserError(f"{where}: holds NaN or infinite pixels; declare them as no data, or leave it out")
        return pixels


def is_scenes(path: Path) -> bool:
    """Check for a GeoTIFF file, or a folder of GeoTIFF files."""
    return path.suffix.lower() in (".tif", ".tiff") if path.is_file() else any(path.glob("*.tif"))


def open_scenes(
    path: Path,
    bands: tuple[str, ...] = (),
    downsample: int = 1,
    labels: str = "",
    window_px: int = 32,
    stride_px: int = 0,
    label_field: str = "",
    label_band: str = "",
) -> Source:
    """Find the labelled windows of a scene, or of all scenes of a folder; no pixels are read.

    Windows are centred on labels, `stride_px` pixels of the scene apart, with at least one in each polygon.
    Windows that cross the edge of the scene or contain no-data pixels are left out.

    Args:
        path: GeoTIFF scene or folder of scenes.
        bands: Names of the bands to keep.
        downsample: Side of the pixel blocks to average.
        labels: Label file of all scenes; empty uses the one beside each scene.
        window_px: Side of a window in pixels of the scene.
        stride_px: Distance between neighbouring windows in pixels of the scene; 0 means about 100 m.
        label_field: Field of the polygons that holds their class; empty uses a usual one.
        label_band: Band of a raster of labels, by number or description; by default `lcz`, or the first.

    Raises:
        UserError: Labels are missing, have another coordinate system or are not LCZ numbers, scenes have different
            bands, or no window fits into its scene.
    """
    require_rasterio(str(path))
    files = (path,) if path.is_file() else tuple(sorted(f for f in path.glob("*.tif") if not is_label_raster(f)))
    names, found, places, notes = _read_labels(files, bands, labels, window_px, stride_px, label_field, label_band)
    sizes = [len(windows.classes) for windows in found]
    if not sum(sizes):
        raise UserError(_without_windows(path, found, window_px))
    positions = band_positions(names, bands, str(path))
    scene = np.repeat(np.arange(len(files)), sizes)
    classes, labels_, lcz = classes_of(found)
    corners = np.concatenate([windows.corners for windows in found])
    known = [place for place in places if place is not None]
    facts = Facts(
        name=path.stem,
        bands=tuple(names[position] for position in positions),
        classes=classes,
        patch_px=reduced_px(window_px, downsample, str(path)),
        labels=labels_,
        groups=groups_of(files, found, scene),
        footprints=Footprints.joined(known) if len(known) == len(files) else None,
        keys=[f"{files[n].name}/{row}/{column}" for n, (row, column) in zip(scene, corners, strict=True)],
        lcz=lcz,
        notes=tuple(dict.fromkeys(notes)),
        label_files=tuple(dict.fromkeys(label_file(windows.file) for windows in found)),
    )
    return SceneSource(facts, files, scene, corners, window_px, positions, downsample)


def _without_windows(path: Path, found: list[WindowLabels], window_px: int) -> str:
    """Explain why no label has a window."""
    outside, holes = sum(windows.outside for windows in found), sum(windows.holes for windows in found)
    if found and all(windows.elsewhere for windows in found):
        return found[0].elsewhere
    if not any(windows.labels for windows in found):
        return f"{path}: its labels are all 0 or no data; give labels 1 to {len(NAMES)}"
    if not outside + holes:
        return f"{path}: the labels do not meet the scene; check their place and their coordinate system"
    if holes > outside:
        return f"{path}: all windows of {window_px} pixels around the labels have no-data pixels; lower data.window_px"
    return f"{path}: no label has a whole window of {window_px} pixels around it; lower data.window_px"


def _read_labels(
    files: tuple[Path, ...],
    bands: tuple[str, ...],
    labels: str,
    window_px: int,
    stride_px: int,
    label_field: str,
    label_band: str,
) -> tuple[tuple[str, ...], list[WindowLabels], list[Footprints | None], tuple[str, ...]]:
    """Find the labelled windows of each scene; return the common band names, the windows, footprints and notes."""
    names: tuple[str, ...] = ()
    found: list[WindowLabels] = []
    places: list[Footprints | None] = []
    side = 0.0
    notes: list[str] = []
    for file in files:
        with opened(file) as raster:
            own = band_names(raster)
            if names and own != names:
                raise UserError(f"{file}: has bands {', '.join(own)}, but {files[0].name} has {', '.join(names)}")
            require_upright_metres(raster, str(file))
            side = side or float(raster.transform.a)
            _require_pixels(raster, side, files[0])
            names = own
            require_patch(window_px, len(own), str(file))
            positions = band_positions(names, bands, str(file))
            beside, *unread = [Path(labels)] if labels else labels_beside(file)
            windows = labelled_windows(raster, beside, window_px, stride_px, positions, label_field, label_band)
            found.append(windows)
            places.append(_places(raster, windows.corners, window_px))
            if unread:
                notes.append(f"{beside}: read as the labels, not {', '.join(other.name for other in unread)} beside it")
            notes += _notes(raster, file, windows, window_px)
    return names, found, places, tuple(notes)


def _require_pixels(raster: Any, side: float, first: Path) -> None:
    """Check that a scene has the pixel size of the first one."""
    if abs(raster.transform.a - side) > 1e-4 * side:
        raise UserError(
            f"{raster.name}: has pixels of {raster.transform.a:g} m, but {first.name} has {side:g} m; resample it "
            f"(rio warp --res {side:g})"
        )


def _notes(raster: Any, file: Path, windows: WindowLabels, window_px: int) -> list[str]:
    """List assumptions and omissions, one line each."""
    found = [f"{file}: {ASSUMED}"] if scaling_of(raster).assumed else []
    found += windows.notes
    if windows.elsewhere:
        found.append(windows.elsewhere)
    elif windows.beyond:
        found.append(f"{file}: {windows.beyond} of {windows.labels} labels do not lie on the scene")
    if windows.outside:
        found.append(f"{file}: {windows.outside} labels left out: their window of {window_px} px crosses the edge")
    if windows.holes:
        found.append(f"{file}: {windows.holes} labels left out: their window of {window_px} px has no-data pixels")
    return found


def _places(scene: Any, corners: Indices, window_px: int) -> Footprints | None:
    place = place_of(scene)
    if place is None:
        return None
    transform = scene.transform
    left, top = transform.c + corners[:, 1] * transform.a, transform.f + corners[:, 0] * transform.e
    bounds = np.column_stack((left, top + window_px * transform.e, left + window_px * transform.a, top))
    return Footprints(np.full(len(corners), place[0]), bounds)


FORMAT = DataFormat(
    title="a GeoTIFF scene or a folder of scenes",
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
    ),
    options=("labels", "label_field", "label_band"),
)
