"""The blocks of a map, judged one after the other while the next one is read."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeVar

import numpy as np

from compactnas.data.reflectance_checks import DIGITAL_NUMBERS, unlike_reflectance
from compactnas.data.source import Progress
from compactnas.errors import UserError
from compactnas.export.engines import Engine, open_engine
from compactnas.io.atomic import read_json, write_json
from compactnas.mapping.block_store import Kept, Numbers, in_steps
from compactnas.mapping.blocks import Accepted, Block, read_block
from compactnas.mapping.boundary_correction import Likeness
from compactnas.mapping.exact import BlockProbabilities, Mode
from compactnas.mapping.grid import Cells, Grid
from compactnas.mapping.job import Job, Warn
from compactnas.mapping.modes import learnt, mode_of
from compactnas.mapping.reading import open_scene
from compactnas.mapping.scene import Place

SAMPLE = 64
"""Windows whose values are looked at."""

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """A map that can be made: job, engine and scenes go together.

    Attributes:
        job: what is mapped.
        engine: the network.
        grid: Grid of the cells.
        place: Georeference of the map.
        blocks: Blocks of cells.
        notes: what was assumed of the scenes.
        likeness: what the dense mode has learnt of them.
    """

    job: Job
    engine: Engine
    grid: Grid
    place: Place
    blocks: tuple[Cells, ...]
    notes: tuple[str, ...]
    likeness: Likeness | None = None


Spread = Callable[[Plan, Sequence[int], Warn], Generator[tuple[int, Numbers], None, None]]
"""How blocks of these numbers get their probabilities, in any order: here, or on other machines."""


def plan_map(job: Job) -> Plan:
    """Open model and scenes and see whether they go together.

    Errors:
        UserError: they do not, or one of them cannot be read.
    """
    engine = open_engine(job.model, job.engine, job.threads)
    scene, notes = _survey(job, engine.bands)
    grid = Grid.of(scene, job.config.stride_px, engine.patch_px, job.config.edges)
    return Plan(job, engine, grid, grid.place(scene), tuple(grid.blocks()), notes)


def _survey(job: Job, bands: tuple[str, ...]) -> tuple[Place, tuple[str, ...]]:
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


def fill(kept: Kept, plan: Plan, spread: Spread, progress: Progress, warn: Warn) -> Likeness | None:
    """Judge the blocks that are not done yet, and keep each as soon as it is; gives what the dense mode has learnt.

    Errors:
        UserError: a scene cannot be read, or its values are no reflectance where the network takes that.
    """
    sizes = [cells.rows * cells.columns for cells in plan.blocks]
    missing = kept.missing()
    done = sum(sizes) - sum(sizes[number] for number in missing)
    progress(done, sum(sizes))
    likeness = _likeness(kept, plan, warn)
    with closing(spread(replace(plan, likeness=likeness), missing, warn)) as found:
        for number, numbers in found:
            kept.put(number, numbers)
            done += sizes[number]
            progress(done, sum(sizes))
    return likeness


def _likeness(kept: Kept, plan: Plan, warn: Warn) -> Likeness | None:
    """Load or learn the dense mode's boundary correction for the scenes."""
    if plan.job.config.mode == "exact":
        return None
    likeness = _kept_likeness(kept) or learnt(plan.job, plan.engine, plan.grid)
    if likeness is None:
        warn("--mode dense: too few neighbourhoods without a hole to learn from; the map is made in the exact mode")
        return None
    write_json(kept.likeness, likeness.to_json())
    warn(
        f"--mode dense: {100 * likeness.alone:.1f} % of cells will be judged alone, so that about "
        f"{100 * likeness.agreement:.1f} % of all have the class of the exact mode"
    )
    return likeness


def _kept_likeness(kept: Kept) -> Likeness | None:
    if not kept.likeness.exists():
        return None
    again = f"remove {kept.likeness.parent} to start again"
    try:
        return Likeness.from_json(read_json(kept.likeness, again))
    except ValueError as error:
        raise UserError(f"{kept.likeness}: {error}; {again}") from None


def judged_here(plan: Plan, numbers: Sequence[int], warn: Warn) -> Generator[tuple[int, Numbers], None, None]:
    """Blocks one after the other in this process."""
    if not numbers:
        return
    mode = mode_of(plan.job, plan.engine, plan.likeness)
    with closing(ahead(_read(plan, numbers))) as read:
        for number, found in groupby(read, lambda item: item[0]):
            seasons = [block for _, block in found]
            if number == numbers[0]:
                _look(seasons, plan.engine.bands, warn)
            yield number, in_steps(*judged(seasons, mode))


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


def _read(plan: Plan, numbers: Sequence[int]) -> Generator[tuple[int, Block], None, None]:
    """Each of these blocks in each season."""
    job, bands = plan.job, plan.engine.bands
    with ExitStack() as files:
        scenes = [
            files.enter_context(open_scene(path, bands, reading))
            for path, reading in zip(job.scenes, job.readings, strict=True)
        ]
        for number in numbers:
            for scene in scenes:
                yield number, read_block(scene, plan.grid, plan.blocks[number], job.config.min_valid)


def ahead(items: Generator[T, None, None]) -> Generator[T, None, None]:
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
