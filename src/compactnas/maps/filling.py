"""The blocks of a map, judged one after the other while the next one is read."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import groupby
from typing import TypeVar

import numpy as np

from compactnas.data.source import Progress
from compactnas.data.values import DIGITAL_NUMBERS, unlike_reflectance
from compactnas.errors import UserError
from compactnas.export.engines import Engine
from compactnas.maps.blocks import Accepted, Block, read_block
from compactnas.maps.exact import BlockProbabilities, Mode
from compactnas.maps.grid import Cells, Grid
from compactnas.maps.job import Job
from compactnas.maps.kept import Kept
from compactnas.maps.reading import open_scene
from compactnas.maps.scene import Place

SAMPLE = 64
"""Windows whose values are looked at."""

T = TypeVar("T")
Warn = Callable[[str], None]


def survey(job: Job, bands: tuple[str, ...]) -> tuple[Place, tuple[str, ...]]:
    """Open each scene once: where all of them lie, and what was assumed of them.

    Errors:
        UserError: one cannot be read so, or lies on another grid than the first.
    """
    places: list[Place] = []
    notes: list[str] = []
    for path, reading in zip(job.scenes, job.readings, strict=True):
        with open_scene(path, bands, reading) as scene:
            places.append(scene.place)
            notes += scene.notes
    for path, place in zip(job.scenes, places, strict=True):
        if not place.same_grid(places[0]):
            raise UserError(
                f"{path}: lies on another grid than {job.scenes[0]} ({place.text}; {places[0].text}); seasons are "
                "voted cell by cell: warp it to the first (rio warp --like)"
            )
    return places[0], tuple(dict.fromkeys(notes))


def fill(kept: Kept, job: Job, engine: Engine, mode: Mode, grid: Grid, progress: Progress, warn: Warn) -> None:
    """Judge the blocks that are not done yet, and keep each as soon as it is.

    Errors:
        UserError: a scene cannot be read, or its values are no reflectance where the network takes that.
    """
    blocks = list(grid.blocks())
    missing = kept.missing()
    done = sum(cells.rows * cells.columns for cells in blocks) - sum(
        blocks[n].rows * blocks[n].columns for n in missing
    )
    total = grid.rows * grid.columns
    progress(done, total)
    reader = _read(job, engine.bands, grid, blocks, missing)
    for number, found in groupby(ahead(reader), lambda item: item[0]):
        seasons = [block for _, block in found]
        if number == missing[0]:
            _look(seasons, engine.bands, warn)
        kept.put(number, *judged(seasons, mode))
        done += seasons[0].accepted.size
        progress(done, total)


def _look(seasons: Sequence[Block], bands: tuple[str, ...], warn: Warn) -> None:
    """Tell what looks wrong with the values of some windows.

    Errors:
        UserError: they are no reflectance at all.
    """
    for block in seasons:
        rows, columns = np.nonzero(block.accepted)
        some = np.unique(np.linspace(0, max(0, len(rows) - 1), SAMPLE).astype(int))[: len(rows)]
        if not len(some):
            continue
        patches = block.windows()[:, rows[some], columns[some]].swapaxes(0, 1)
        for fault in unlike_reflectance(bands, patches):
            if np.median(patches) > DIGITAL_NUMBERS:
                raise UserError(f"the scene: {fault}; give --scale 0.0001, or --scale 1 if the network was trained so")
            warn(f"the scene: {fault}")


def judged(seasons: Iterable[Block], mode: Mode) -> tuple[BlockProbabilities, Accepted]:
    """Mean class probabilities over the seasons in which a cell is accepted, and the cells that are in any."""
    found, accepted = zip(*((mode(block), block.accepted) for block in seasons), strict=True)
    count = np.sum(accepted, axis=0)
    total = np.sum(
        [np.where(of[..., None], values, np.float32(0)) for of, values in zip(accepted, found, strict=True)], axis=0
    )
    return total / np.maximum(count, 1).astype(np.float32)[..., None], count > 0


def _read(
    job: Job, bands: tuple[str, ...], grid: Grid, blocks: Sequence[Cells], numbers: Sequence[int]
) -> Generator[tuple[int, Block], None, None]:
    """Each of these blocks in each season."""
    with ExitStack() as files:
        scenes = [
            files.enter_context(open_scene(path, bands, reading))
            for path, reading in zip(job.scenes, job.readings, strict=True)
        ]
        for number in numbers:
            for scene in scenes:
                yield number, read_block(scene, grid, blocks[number], job.config.min_valid)


def ahead(items: Generator[T, None, None]) -> Iterator[T]:
    """The same, with the next one made in a thread meanwhile; all of it in the same thread, as GDAL's handles want."""
    end = object()
    with ThreadPoolExecutor(1) as thread:
        try:
            waiting = thread.submit(next, items, end)
            while (item := waiting.result()) is not end:
                waiting = thread.submit(next, items, end)
                yield item  # type: ignore[misc]  # not the end
        finally:
            thread.submit(items.close).result()
