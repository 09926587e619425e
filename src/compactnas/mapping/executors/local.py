"""Compute the blocks of a map in this process, one by one, while a thread reads the next block."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import groupby
from typing import TypeVar

import numpy as np

from compactnas.data.reflectance_checks import DIGITAL_NUMBERS, unlike_reflectance
from compactnas.errors import UserError
from compactnas.mapping.block_store import Numbers, in_steps
from compactnas.mapping.blocks import Accepted, Block, read_block
from compactnas.mapping.classify import BlockProbabilities, classify
from compactnas.mapping.executor import MapPlan
from compactnas.mapping.job import Warn
from compactnas.scenes.reading import open_scene

SAMPLE = 64
"""Number of windows whose values are checked."""

T = TypeVar("T")


def run_locally(plan: MapPlan, numbers: Sequence[int], warn: Warn) -> Generator[tuple[int, Numbers], None, None]:
    """Compute the blocks with these numbers in this process, in the given order."""
    if not numbers:
        return
    with closing(ahead(_read(plan, numbers))) as read:
        for number, found in groupby(read, lambda item: item[0]):
            seasons = [block for _, block in found]
            if number == numbers[0] and not plan.engine.task.means:  # otherwise the plan has compared the units
                _check_values(seasons, plan, warn)
            yield number, in_steps(*_averaged(seasons, plan))


def _check_values(seasons: Sequence[Block], plan: MapPlan, warn: Warn) -> None:
    """Warn if the values of some windows do not look like reflectance.

    Raises:
        UserError: The values are digital numbers, and the user gave no scale.
    """
    for block, reading in zip(seasons, plan.job.readings, strict=True):
        rows, columns = np.nonzero(block.accepted)
        some = np.unique(np.linspace(0, max(0, len(rows) - 1), SAMPLE).astype(int))[: len(rows)]
        if not len(some):
            continue
        patches = block.windows()[:, rows[some], columns[some]].swapaxes(0, 1)
        for fault in unlike_reflectance(plan.engine.task.bands, patches):
            if np.median(patches) > DIGITAL_NUMBERS and reading.scale is None:
                raise UserError(
                    f"the scene: {fault}; give --scale 0.0001, or --scale 1 if the network was trained on such numbers"
                )
            warn(f"the scene: {fault}")


def _averaged(seasons: Iterable[Block], plan: MapPlan) -> tuple[BlockProbabilities, Accepted]:
    """Average class probabilities over the seasons that accept a cell; mark the cells accepted by any season."""
    batch = plan.job.config.batch_size
    found, accepted = zip(*((classify(block, plan.engine, batch), block.accepted) for block in seasons), strict=True)
    count = np.sum(accepted, axis=0)
    total = np.sum(
        [np.where(of[..., None], values, np.float32(0)) for of, values in zip(accepted, found, strict=True)], axis=0
    )
    return total / np.maximum(count, 1).astype(np.float32)[..., None], count > 0


def _read(plan: MapPlan, numbers: Sequence[int]) -> Generator[tuple[int, Block], None, None]:
    """Read these blocks, each in every season."""
    job, bands = plan.job, plan.engine.task.bands
    with ExitStack() as files:
        scenes = [
            files.enter_context(open_scene(path, bands, reading))
            for path, reading in zip(job.scenes, job.readings, strict=True)
        ]
        for number in numbers:
            for scene in scenes:
                yield number, read_block(scene, plan.grid, plan.blocks[number], job.config.min_valid)


def ahead(items: Generator[T, None, None]) -> Generator[T, None, None]:
    """Compute the next item in a thread, always the same one, because GDAL's handles are bound to a thread."""
    end = object()
    with ThreadPoolExecutor(1) as thread:
        try:
            waiting = thread.submit(next, items, end)
            while (item := waiting.result()) is not end:
                waiting = thread.submit(next, items, end)
                yield item  # type: ignore[misc]  # the loop ends at `end`
        finally:
            thread.submit(items.close).result()
