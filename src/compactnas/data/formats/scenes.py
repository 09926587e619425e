"""GeoTIFF scenes with labels beside them: a window at each label, grouped by city or polygon.

A scene is `NAME.tif`; its labels are `NAME_lcz.tif`, a raster of LCZ numbers 1 to 17 in the scene's own
coordinate system (0 or its no-data value for none), or `NAME.geojson`, polygons (`polygons.py`). A folder holds
such pairs, a city each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.data.checks import MOST_PATCHES, require_patch
from compactnas.data.footprints import Footprints
from compactnas.data.formats import DataFormat
from compactnas.data.polygons import Polygon, owners, read_polygons
from compactnas.data.rasters import (
    MOST_PIXELS,
    band_names,
    is_upright,
    opened,
    place_of,
    reflectance,
    require_rasterio,
)
from compactnas.data.source import Facts, Groups, Images, Indices, Source, band_positions, block_mean, reduced_px
from compactnas.errors import UserError
from compactnas.lcz import NAMES

LABELS = ("_lcz.tif", ".geojson")
"""Ends of the names of label files, in the order in which they are looked for."""
STEP_M = 100.0
"""Distance of windows along each axis where no other is asked for: that of an LCZ map's pixels."""
STRIP_PIXELS = 2**24
"""Of a scene that are looked at at a time."""


@dataclass(frozen=True)
class _Labels:
    """Windows of one scene that have a label.

    Attributes:
        corners: row and column of each window's upper left pixel, (windows, 2).
        classes: LCZ index 0 to 16, (windows,).
        groups: name of each window's polygon, empty where the labels are a raster.
    """

    corners: Indices
    classes: NDArray[np.int64]
    groups: list[str]


@dataclass(frozen=True)
class SceneSource:
    """Windows that are read from the scenes on demand.

    Attributes:
        facts: Facts about the windows.
        files: Paths of the scenes.
        scene: Number of the scene of each window, (windows,).
        corners: Row and column of each window's upper left pixel, (windows, 2).
        window_px: Side of a window before downsampling.
        positions: Positions of the bands to keep.
        downsample: Side of the block of pixels that is averaged into one.
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
    """Check for a GeoTIFF file, or a folder with some."""
    return path.suffix.lower() in (".tif", ".tiff") if path.is_file() else any(path.glob("*.tif"))


def open_scenes(
    path: Path,
    bands: tuple[str, ...] = (),
    downsample: int = 1,
    labels: str = "",
    window_px: int = 32,
    stride_px: int = 0,
) -> Source:
    """Find the labelled windows of a scene, or of all scenes of a folder; no pixels are read.

    Windows stand with their middle on a label, `stride_px` pixels of the scene apart (0: about 100 m), and in
    each polygon at least one. One that reaches over the scene's edge or over no data is left out.

    Args:
        path: a GeoTIFF scene or a folder of them.
        bands: names of the bands to keep.
        downsample: side of the block of pixels that is averaged into one.
        labels: Label file of a single scene; empty takes the one in the same folder.
        window_px: side of a window in pixels of the scene.
        stride_px: distance of neighbouring windows in pixels of the scene.

    Raises:
        UserError: no labels, labels of another coordinate system or of no LCZ, scenes with different
            bands, or no window that lies inside.
    """
    require_rasterio(str(path))
    files = (path,) if path.is_file() else tuple(sorted(f for f in path.glob("*.tif") if not f.stem.endswith("_lcz")))
    if labels and len(files) != 1:
        raise UserError(f"data.labels: {labels} is for a single scene; {path} holds {len(files)}")
    names: tuple[str, ...] = ()
    found, places = [], []
    for file in files:
        with opened(file) as raster:
            own = band_names(raster)
            if names and own != names:
                raise UserError(f"{file}: has bands {', '.join(own)}; {files[0].name} {', '.join(names)}")
            if not is_upright(raster):
                raise UserError(f"{file}: is turned or has no place on the ground; warp it to a map first (rio warp)")
            names = own
            require_patch(window_px, len(own), str(file))
            windows = _windows(raster, Path(labels) if labels else _beside(file), window_px, stride_px)
            found.append(windows)
            places.append(_places(raster, windows.corners, window_px))
    sizes = [len(windows.classes) for windows in found]
    if not sum(sizes):
        raise UserError(f"{path}: no label has a whole window of {window_px} pixels around it; lower data.window_px")
    positions = band_positions(names, bands, str(path))
    scene = np.repeat(np.arange(len(files)), sizes)
    groups: Groups | None = np.array([file.stem for file in files])[scene]
    if len(files) == 1:
        groups = np.array(found[0].groups) if found[0].groups else None
    corners = np.concatenate([windows.corners for windows in found])
    known = [place for place in places if place is not None]
    facts = Facts(
        name=path.stem,
        bands=tuple(names[position] for position in positions),
        classes=NAMES,
        patch_px=reduced_px(window_px, downsample, str(path)),
        labels=np.concatenate([windows.classes for windows in found]),
        groups=groups,
        footprints=Footprints.joined(known) if len(known) == len(files) else None,
        keys=[f"{files[n].name}/{row}/{column}" for n, (row, column) in zip(scene, corners, strict=True)],
        lcz=True,
    )
    return SceneSource(facts, files, scene, corners, window_px, positions, downsample)


def _beside(scene: Path) -> Path:
    candidates = [scene.with_name(scene.stem + end) for end in LABELS]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    names = " or ".join(candidate.name for candidate in candidates)
    raise UserError(f"{scene}: no labels found; put {names} into the same folder, or set data.labels")


def _windows(scene: Any, labels: Path, window_px: int, stride_px: int) -> _Labels:
    if not labels.is_file():
        raise UserError(f"data.labels: {labels} does not exist; check the spelling")
    step = stride_px or _pixels(STEP_M, scene.transform.a)
    polygons = labels.suffix.lower() in (".geojson", ".json")
    middles, classes, groups = (_of_polygons if polygons else _of_raster)(scene, labels, step)
    corners = middles - window_px // 2
    inside = np.flatnonzero(((corners >= 0) & (corners + window_px <= (scene.height, scene.width))).all(1))
    inside = inside[_without_no_data(scene, corners[inside], window_px)]
    return _Labels(corners[inside], classes[inside], [groups[i] for i in inside] if groups else [])


def _pixels(length: float, side: float) -> int:
    """How many pixels of this side a length takes, at least one, and no more than a scene has."""
    return max(1, round(min(length / abs(side), MOST_PIXELS)))


def _strips(height: int, width: int) -> Iterator[tuple[int, int]]:
    """First row and the row after the last one of parts that fit the memory."""
    rows = max(1, STRIP_PIXELS // width)
    yield from ((start, min(start + rows, height)) for start in range(0, height, rows))


def _without_no_data(scene: Any, corners: Indices, window_px: int) -> NDArray[np.bool_]:
    """Check that each window is free of no-data pixels, by the mask of the scene."""
    from rasterio.windows import Window

    count = np.zeros(len(corners), np.int64)
    for start, stop in _strips(scene.height, scene.width * scene.count):
        if not ((corners[:, 0] < stop) & (corners[:, 0] + window_px > start)).any():
            continue
        holes = scene.dataset_mask(window=Window(0, start, scene.width, stop - start)) == 0
        if not holes.any():
            continue
        sums = np.zeros((stop - start + 1, scene.width + 1), np.int32)
        np.cumsum(holes, 0, out=sums[1:, 1:])
        np.cumsum(sums, 1, out=sums)
        (top, bottom) = (np.clip(corners[:, 0] + more - start, 0, stop - start) for more in (0, window_px))
        left, right = corners[:, 1], corners[:, 1] + window_px
        count += sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    whole: NDArray[np.bool_] = count == 0
    return whole


def _of_raster(scene: Any, file: Path, step: int) -> tuple[Indices, NDArray[np.int64], list[str]]:
    """Pixel of the scene under each label, on a grid of labels about `step` scene pixels apart."""
    with opened(file) as raster:
        if raster.crs != scene.crs or not is_upright(raster):
            raise UserError(f"{file}: is in {raster.crs} or turned, the scene in {scene.crs}; warp it (rio warp)")
        stride = _pixels(step * abs(scene.transform.a), raster.transform.a)
        rows, columns, picked = _picked(raster, stride, file)
        labels, pixels = raster.transform, scene.transform
        x, y = labels.c + labels.a * (columns + 0.5), labels.f + labels.e * (rows + 0.5)
    wrong = ~np.isin(picked, np.arange(1, len(NAMES) + 1))
    if wrong.any():
        raise UserError(f"{file}: holds {picked[wrong.argmax()]}; labels are LCZ numbers 1 to {len(NAMES)}, 0 for none")
    with np.errstate(all="ignore"):
        at = np.column_stack(((y - pixels.f) / pixels.e, (x - pixels.c) / pixels.a))
    at = np.clip(np.nan_to_num(at, nan=-1), -MOST_PIXELS, MOST_PIXELS)  # far outside is outside
    return np.floor(at).astype(np.int64), picked.astype(np.int64) - 1, []


def _picked(raster: Any, stride: int, file: Path) -> tuple[Indices, Indices, NDArray[Any]]:
    """Row, column and number of each label on a grid."""
    from rasterio.windows import Window

    found, none = [], raster.nodata
    columns = np.arange(stride // 2, raster.width, stride)
    for start, stop in _strips(raster.height, raster.width):
        rows = np.arange(stride // 2, raster.height, stride)
        rows = rows[(rows >= start) & (rows < stop)]
        if not len(rows):
            continue
        numbers = raster.read(1, window=Window(0, start, raster.width, stop - start))
        numbers = numbers[rows - start][:, columns]
        labelled = (numbers != 0) & (numbers != none if none is not None else True)
        row, column = np.nonzero(labelled)
        found.append((rows[row], columns[column], numbers[labelled]))
        _require_few(sum(len(part[0]) for part in found), file)
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int64)
    row, column, number = (np.concatenate(part) for part in zip(*found, strict=True))
    return row, column, number


def _require_few(windows: int, file: Path) -> None:
    if windows > MOST_PATCHES:
        raise UserError(f"{file}: makes more than {MOST_PATCHES} windows; raise data.stride_px")


def _of_polygons(scene: Any, file: Path, step: int) -> tuple[Indices, NDArray[np.int64], list[str]]:
    """Pixels of a grid that lie in each polygon; of a polygon that the grid misses, the middle one of its pixels."""
    polygons = read_polygons(file, scene.crs)
    found, pixels = [], np.zeros(len(polygons) + 1, np.int64)
    on_grid = np.zeros(len(polygons) + 1, bool)
    for start, owner in _owners(scene, polygons, file):
        pixels += np.bincount(owner.ravel(), minlength=len(pixels))
        rows, columns = np.arange((step // 2 - start) % step, len(owner), step), np.arange(step // 2, scene.width, step)
        picked = owner[rows][:, columns]
        row, column = np.nonzero(picked)
        found.append(np.column_stack((start + rows[row], columns[column], picked[row, column])))
        on_grid[found[-1][:, 2]] = True
        _require_few(sum(map(len, found)), file)
    missed = np.flatnonzero((pixels > 0) & ~on_grid)
    missed = missed[missed > 0]
    if len(missed):
        found += _middles(scene, polygons, file, missed, pixels[missed] // 2)
    row, column, number = (every := np.concatenate(found))[np.lexsort((every[:, 1], every[:, 0]))].T
    classes = np.array([polygon.lcz for polygon in polygons], np.int64)
    return np.column_stack((row, column)), classes[number - 1], [f"polygon {n}" for n in number]


def _owners(scene: Any, polygons: list[Polygon], file: Path) -> Iterator[tuple[int, NDArray[np.int32]]]:
    """First row of each strip of the scene, and number of the polygon at each of its pixels, 0 for none."""
    for start, stop in _strips(scene.height, scene.width):
        yield start, owners(polygons, scene.transform, (start, stop), scene.width, file)


def _middles(scene: Any, polygons: list[Polygon], file: Path, missed: Indices, middle: Indices) -> list[Indices]:
    """Find the pixel of each missed polygon at index `middle` of its pixels: row, column, number."""
    found, before = [], np.zeros(len(missed), np.int64)
    for start, owner in _owners(scene, polygons, file):
        place = np.flatnonzero(owner)
        number = owner.ravel()[place]
        place, number = place[order := np.argsort(number, kind="stable")], number[order]
        first, last = (np.searchsorted(number, missed, side) for side in ("left", "right"))
        here = (middle >= before) & (middle < before + last - first)
        at = place[(first + middle - before)[here]]
        found.append(np.column_stack((start + at // scene.width, at % scene.width, missed[here])))
        before += last - first
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
        Path(config.path), config.bands, config.downsample, config.labels, config.window_px, config.stride_px
    ),
    options=("labels",),
)
