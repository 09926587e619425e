"""Compare scenes with the data that a network was trained on: pixel size, units and season."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from compactnas.errors import UserError
from compactnas.mapping.job import MapJob
from compactnas.runs.task import Task
from compactnas.scenes.scene import Scene, Window

CELL_M = 100.0
"""Side of a cell of an LCZ map."""
SAMPLES, SAMPLE_PX = 4, 96
"""Number of sampled squares along each axis of a scene, and their side in pixels."""
FAR, OTHER_UNITS = 1.5, 10.0
"""Distances of a band's mean from training, in standard deviations: for a warning, and for a scene in other units."""


def settled(job: MapJob, task: Task) -> MapJob:
    """Fill in the pixel size and the stride of a job, if not given, from the network's training data.

    Raises:
        UserError: The given pixel size differs from that of the training data.
    """
    known = task.pixel_m
    asked = job.readings[0].pixel_m
    if known and asked and abs(asked - known) > 1e-4 * known:
        raise UserError(
            f"--pixel-m: {asked:g} is not the {known:g} m that the network was trained on; leave --pixel-m out"
        )
    readings = tuple(replace(reading, pixel_m=asked or known) for reading in job.readings)
    stride = job.config.stride_px or min(max(1, round(CELL_M / readings[0].side_m)), task.patch_px)
    return replace(job, readings=readings, config=replace(job.config, stride_px=stride))


def unlike_training(scene: Scene, task: Task, where: str, *, scale_given: bool) -> list[str]:
    """Write a note on how a scene differs from the training data; none if it does not, or if statistics are missing.

    Args:
        scene: Open scene with the bands of the network.
        task: Task of the network.
        where: Name of the scene, for messages.
        scale_given: Whether the user gave `--scale`; then a scene in other units only causes a warning.

    Raises:
        UserError: Most bands have other units than the training data.
    """
    means = _means(scene) if task.means and task.deviations else None
    if means is None:
        return []
    far = np.abs(means - np.array(task.means)) / np.array(task.deviations)
    worst = int(far.argmax())
    text = (
        f"{where}: {int((far > FAR).sum())} of {len(far)} bands are unlike those of training, most of all "
        f"{scene.bands[worst]}: mean {means[worst]:.4g}, in training {task.means[worst]:.4g} with a standard "
        f"deviation of {task.deviations[worst]:.4g}"
    )
    if np.median(far) > OTHER_UNITS and not scale_given:
        raise UserError(f"{text}; the scene has other units: give --scale; 1 keeps the values of the file")
    if far.max() <= FAR:
        return []
    return [f"{text}; use a scene of the season and processing of the training data, or check --scale and --offset"]


def _means(scene: Scene) -> Float64[np.ndarray, " bands"] | None:
    """Mean of each band over squares spread across a scene; None if none of their pixels is valid."""
    total, count = np.zeros(len(scene.bands)), 0
    for window in _squares(scene.place.height, scene.place.width):
        pixels, valid = scene.read(window)
        total += pixels[:, valid].sum(axis=1, dtype=np.float64)
        count += int(valid.sum())
    return total / count if count else None


def _squares(height: int, width: int) -> Iterator[Window]:
    sides = min(SAMPLE_PX, height), min(SAMPLE_PX, width)
    rows, columns = (
        np.unique(np.linspace(0, most - side, SAMPLES).astype(int)).tolist()
        for most, side in zip((height, width), sides, strict=True)
    )
    yield from (Window(row, column, *sides) for row in rows for column in columns)
