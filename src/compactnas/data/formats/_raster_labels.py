"""Find the labelled windows of a scene from an LCZ raster on any grid, in any coordinate system."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compactnas.data.checks import MOST_PATCHES
from compactnas.data.source import Indices
from compactnas.errors import UserError
from compactnas.labels.areas import MOST_AREAS, Areas, area_names
from compactnas.labels.rasters import LabelRaster, opened_labels
from compactnas.scenes.coordinates import apply, in_system, is_upright
from compactnas.scenes.files import MOST_PIXELS

MOST_GROUPED = 2**26
"""Largest number of pixels of a raster whose areas are told apart; that takes about a second for 2**23 pixels."""
MARGIN = 2
"""Number of pixels to read around the scene, since the outline of a scene bends in another coordinate system."""
POINTS = 65
"""Number of points along each side of a scene's outline."""


class Found(NamedTuple):
    """Labels that lie on a scene.

    Attributes:
        middles: Row and column of the scene pixel under each label, (labels, 2).
        classes: LCZ index 0 to 16, (labels,).
        groups: Name of the area of each label; empty if areas are not told apart.
        labels: Number of labels in the file, on the scene or not; at least that of `middles`.
        notes: Assumptions and omissions, one line each.
    """

    middles: Indices
    classes: NDArray[np.int64]
    groups: list[str]
    labels: int
    notes: tuple[str, ...]


def of_raster(scene: Any, file: Path, step: int, band: str = "") -> Found:
    """Find the scene pixel under the middle of each label, on a grid of labels about `step` scene pixels apart.

    Labels in another coordinate system are placed in that of the scene one by one.

    Raises:
        UserError: The file is not a raster of labels, or has too many labels.
    """
    with opened_labels(file, band) as labels:
        picked = _picked(labels, _window(scene, labels.raster), _strides(scene, labels.raster, step))
        row, column, lcz, groups = picked.at
        x, y = apply(labels.raster.transform, column + 0.5, row + 0.5)
        middles = _pixels(scene, *in_system(labels.raster.crs, scene.crs, x, y, str(file)))
        notes = list(labels.notes)
        if labels.raster.crs != scene.crs:
            notes.append(
                f"{file}: is in {labels.raster.crs}, the scene in {scene.crs}; each label is read at the scene pixel "
                "under its middle (nearest neighbour)"
            )
        if groups is None:
            notes.append(f"{file}: has too many pixels or areas to make groups; cut it to the scene")
        names = [] if groups is None else area_names(groups, labels.raster.width)
    return Found(middles, lcz.astype(np.int64) - 1, names, picked.labels, tuple(notes))


class _Picked(NamedTuple):
    """Labels on a grid: row, column, LCZ, and first pixel of the area (None if unknown); and the number in the file."""

    at: tuple[Indices, Indices, NDArray[np.uint8], Indices | None]
    labels: int


def _picked(labels: LabelRaster, window: NDArray[np.int64], strides: tuple[int, int]) -> _Picked:
    """Read the labels on a grid inside a window, given by first row and column, and those after the last."""
    height, width = labels.raster.height, labels.raster.width
    areas = Areas(width) if height * width <= MOST_GROUPED else None
    (top, left), (bottom, right) = window
    rows, columns = (
        np.arange(stride // 2, size, stride) for stride, size in zip(strides, (height, width), strict=True)
    )
    total, found = 0, [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0, np.int64))]
    for start, numbers in labels.strips():
        stop = start + len(numbers)
        parts = areas.add(numbers) if areas else np.zeros(numbers.shape, np.int64)
        areas = areas if areas and areas.parts <= MOST_AREAS else None
        here = rows[(rows >= start) & (rows < stop)]
        grid = np.ix_(here - start, columns)
        total += int(np.count_nonzero(numbers[grid]))
        inside = (here >= top)[:, None] & (here < bottom)[:, None] & (columns >= left) & (columns < right)
        row, column = np.nonzero((numbers[grid] > 0) & inside)
        at = here[row] - start, columns[column]
        found.append((here[row], columns[column], numbers[at], parts[at]))
        if sum(len(part[0]) for part in found) > MOST_PATCHES:
            raise UserError(f"{labels.file}: makes more than {MOST_PATCHES} windows; raise data.stride_px")
    row, column, lcz, part = (np.concatenate(values) for values in zip(*found, strict=True))
    return _Picked((row, column, lcz, areas.firsts()[part] if areas else None), total)


def _strides(scene: Any, raster: Any, step: int) -> tuple[int, int]:
    """Distance between labels to pick, in rows and columns of the raster, about `step` pixels of the scene."""
    across, down = step * abs(scene.transform.a), step * abs(scene.transform.e)
    if raster.crs == scene.crs and is_upright(raster):
        spans = [down / -raster.transform.e, across / raster.transform.a]
    else:
        x, y = apply(scene.transform, scene.width / 2, scene.height / 2)
        points = np.array([x, x + across, x]), np.array([y, y, y - down])
        columns, rows = apply(~raster.transform, *_in_system(scene.crs, raster, *points))
        spans = [float(np.hypot(columns[n] - columns[0], rows[n] - rows[0])) for n in (2, 1)]
    height, width = (max(1, round(min(span, MOST_PIXELS))) if np.isfinite(span) else 1 for span in spans)
    return height, width


def _window(scene: Any, raster: Any) -> NDArray[np.int64]:
    """First row and column of the raster that the scene may cover, and those after the last."""
    whole = np.array([[0, 0], [raster.height, raster.width]])
    along = np.linspace(0, 1, POINTS)
    zero, one = np.zeros(POINTS), np.ones(POINTS)
    across, down = np.concatenate((along, one, along, zero)), np.concatenate((zero, along, one, along))
    x, y = apply(scene.transform, across * scene.width, down * scene.height)
    columns, rows = apply(~raster.transform, *_in_system(scene.crs, raster, x, y))
    ends = np.array([[rows.min(), columns.min()], [rows.max(), columns.max()]])
    if not np.isfinite(ends).all():
        return whole
    clipped = np.clip(ends, -MOST_PIXELS, MOST_PIXELS)
    found: NDArray[np.int64] = np.array([np.floor(clipped[0]) - MARGIN, np.ceil(clipped[1]) + MARGIN]).astype(np.int64)
    return found


def _in_system(own: Any, raster: Any, x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Convert coordinates to the system of a raster; those that cannot be converted become infinite."""
    return in_system(own, raster.crs, x, y, raster.name)


def _pixels(scene: Any, x: NDArray[Any], y: NDArray[Any]) -> Indices:
    """Row and column of the scene pixel at each place."""
    place = scene.transform
    with np.errstate(all="ignore"):
        at = np.column_stack(((y - place.f) / place.e, (x - place.c) / place.a))
    at = np.clip(np.nan_to_num(at, nan=-1), -MOST_PIXELS, MOST_PIXELS)  # clip places far outside the scene
    found: Indices = np.floor(at).astype(np.int64)
    return found
