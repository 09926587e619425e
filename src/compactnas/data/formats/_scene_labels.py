"""Find the labelled windows of a scene, from an LCZ raster or from polygons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compactnas.data.checks import MOST_PATCHES
from compactnas.data.formats._raster_labels import of_raster
from compactnas.data.source import Indices
from compactnas.errors import UserError
from compactnas.labels.finding import is_vector
from compactnas.labels.polygons import Overlaps, Polygon, elsewhere, owners, read_polygons
from compactnas.lcz import NAMES
from compactnas.scenes.files import MOST_PIXELS
from compactnas.scenes.layers import LayeredScene
from compactnas.scenes.scene import Window

STEP_M = 100.0
"""Default distance between windows along each axis in metres: the pixel side of an LCZ map."""
STRIP_PIXELS = 2**24
"""Number of pixels of a scene to process at a time."""


@dataclass(frozen=True)
class WindowLabels:
    """Labelled windows of one scene.

    Attributes:
        file: Label file.
        corners: Row and column of each window's upper left pixel, (windows, 2).
        classes: Index of each window's class in `names`, (windows,).
        groups: Name of the polygon or area of each window; empty if unknown.
        labels: Total number of labels, on the scene or not.
        outside: Number of labels on the scene whose window crosses its edge.
        holes: Number of labels whose window has pixels without data, or under clouds.
        names: Names of the classes.
        notes: What was assumed or left out of the label file, one line each.
        elsewhere: Why no label is on the scene, if that is so.
        beyond: Number of labels that do not lie on the scene.
    """

    file: Path
    corners: Indices
    classes: NDArray[np.int64]
    groups: list[str]
    labels: int
    outside: int
    holes: int
    names: tuple[str, ...] = NAMES
    notes: tuple[str, ...] = ()
    elsewhere: str = ""
    beyond: int = 0


class Places(NamedTuple):
    """Labelled places of a scene.

    Attributes:
        middles: Row and column of each place, (places, 2).
        classes: Index of each class in `names`, (places,).
        groups: Name of each place's polygon or area; may be empty.
        names: Names of the classes.
        notes: What was assumed or left out of the label file, one line each.
        elsewhere: Why no label is on the scene, if that is so.
    """

    middles: Indices
    classes: NDArray[np.int64]
    groups: list[str]
    names: tuple[str, ...] = NAMES
    notes: tuple[str, ...] = ()
    elsewhere: str = ""


class WindowOptions(NamedTuple):
    """Options that say where windows are.

    Attributes:
        labels: Label file of all scenes; empty uses the one beside each scene.
        window_px: Side of a window in pixels of the scene.
        stride_px: Distance between neighbouring windows in pixels of the scene; 0 means about 100 m.
        label_field: Field of the polygons that holds their class; empty uses a usual one.
        label_band: Band of a raster of labels, by number or description; by default `lcz`, or the first.
    """

    labels: str
    window_px: int
    stride_px: int
    label_field: str
    label_band: str


def labelled_windows(scene: LayeredScene, labels: Path, options: WindowOptions) -> WindowLabels:
    """Find the labelled windows of an open scene whose pixels are all valid."""
    window_px = options.window_px
    if not labels.is_file():
        raise UserError(f"data.labels: {labels} does not exist; check the spelling")
    place = scene.place
    step = options.stride_px or _pixels(STEP_M, place.transform.a)
    if is_vector(labels):
        if options.label_band:
            raise UserError(f"data.label_band: {labels} has polygons, not bands; leave it out")
        places = _of_polygons(place, labels, step, options.label_field)
        total = len(places.middles)
    else:
        found = of_raster(place, labels, step, options.label_band)
        places, total = Places(found.middles, found.classes, found.groups, NAMES, found.notes), found.labels
    middles, groups = places.middles, places.groups
    corners = middles - window_px // 2
    on_scene = ((middles >= 0) & (middles < (place.height, place.width))).all(1)
    whole = np.flatnonzero(((corners >= 0) & (corners + window_px <= (place.height, place.width))).all(1))
    inside = whole[_without_gaps(scene, corners[whole], window_px)]
    outside, holes = int(on_scene.sum()) - len(whole), len(whole) - len(inside)
    names = [groups[i] for i in inside] if groups else []
    return WindowLabels(
        labels,
        corners[inside],
        places.classes[inside],
        names,
        total,
        outside,
        holes,
        places.names,
        places.notes,
        places.elsewhere,
        total - int(on_scene.sum()),
    )


def _pixels(length: float, side: float) -> int:
    """Convert a length to pixels of this side: at least one, at most as many as a scene has."""
    return max(1, round(min(length / abs(side), MOST_PIXELS)))


def _strips(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Yield first and last row (exclusive) of strips that fit into memory."""
    rows = max(1, STRIP_PIXELS // width)
    yield from ((start, min(start + rows, height)) for start in range(0, height, rows))


def _without_gaps(scene: LayeredScene, corners: Indices, window_px: int) -> NDArray[np.bool_]:
    """Check that all pixels of each window are valid; only the rows and columns of the windows are read."""
    count = np.zeros(len(corners), np.int64)
    if scene.complete or not len(corners):
        return np.ones(len(corners), np.bool_)
    left, right = int(corners[:, 1].min()), int(corners[:, 1].max()) + window_px
    for start, stop in _strips(scene.place.height, (right - left) * len(scene.bands)):
        touched = corners[(corners[:, 0] < stop) & (corners[:, 0] + window_px > start), 0]
        if not len(touched):
            continue
        start, stop = max(start, int(touched.min())), min(stop, int(touched.max()) + window_px)
        _, valid = scene.read(Window(start, left, stop - start, right - left))
        if valid.all():
            continue
        sums = np.zeros((stop - start + 1, right - left + 1), np.int32)
        np.cumsum(~valid, 0, out=sums[1:, 1:])
        np.cumsum(sums, 1, out=sums)
        (top, bottom) = (np.clip(corners[:, 0] + more - start, 0, stop - start) for more in (0, window_px))
        near, far = corners[:, 1] - left, corners[:, 1] + window_px - left
        count += sums[bottom, far] - sums[top, far] - sums[bottom, near] + sums[top, near]
    whole: NDArray[np.bool_] = count == 0
    return whole


def _require_few(windows: int, file: Path) -> None:
    if windows > MOST_PATCHES:
        raise UserError(f"{file}: makes more than {MOST_PATCHES} windows; raise data.stride_px")


def _of_polygons(scene: Any, file: Path, step: int, label_field: str) -> Places:
    """Find the grid pixels in each polygon; for a polygon that the grid misses, take the middle one of its pixels."""
    read = read_polygons(file, scene.crs, tuple(scene.bounds), label_field)
    polygons, overlaps = read.each, Overlaps(read)
    found, pixels = [], np.zeros(len(polygons) + 1, np.int64)
    on_grid = np.zeros(len(polygons) + 1, bool)
    for start, owner in _owners(scene, polygons, file):
        overlaps.count(owner, scene.transform, (start, start + len(owner)))
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
    classes = np.array([polygon.label for polygon in polygons], np.int64)
    name = Path(scene.name).name
    away = elsewhere(read, tuple(scene.bounds), scene.crs, name)
    if not len(number) and not away:
        away = f"{file}: none of its polygons contains the centre of a pixel of {name}; draw larger ones"
    return Places(
        np.column_stack((row, column)),
        classes[number - 1],
        [polygons[n - 1].name for n in number],
        read.classes,
        (*read.notes, *overlaps.notes),
        away,
    )


def _owners(scene: Any, polygons: list[Polygon], file: Path) -> Iterator[tuple[int, NDArray[np.int32]]]:
    """Yield the first row of each strip of the scene, and the polygon number at each pixel; 0 for none."""
    for start, stop in _strips(scene.height, scene.width):
        yield start, owners(polygons, scene.transform, (start, stop), scene.width, file)


def _middles(scene: Any, polygons: list[Polygon], file: Path, missed: Indices, middle: Indices) -> list[Indices]:
    """Find pixel number `middle` of each missed polygon: row, column, polygon number."""
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
