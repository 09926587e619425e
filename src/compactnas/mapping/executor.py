"""Plan a map and compute its blocks with an executor: in this process (`executors/local.py`) or on Ray."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from compactnas.data.source import Progress
from compactnas.errors import UserError
from compactnas.exporting.engines import Engine, open_engine
from compactnas.mapping.block_store import BlockStore, Numbers
from compactnas.mapping.grid import CellRectangle, Grid
from compactnas.mapping.job import MapJob, Warn
from compactnas.mapping.training_data import settled, unlike_training
from compactnas.runs.task import Task
from compactnas.scenes.reading import open_scene, with_gaps
from compactnas.scenes.scene import Place


@dataclass(frozen=True)
class MapPlan:
    """Plan of a map, with a job, an engine and scenes that fit each other.

    Attributes:
        job: Model, scenes and options.
        engine: Engine that computes the probabilities.
        grid: Grid of the cells.
        place: Georeference of the map.
        blocks: Blocks of cells.
        notes: Assumptions about the scenes.
    """

    job: MapJob
    engine: Engine
    grid: Grid
    place: Place
    blocks: tuple[CellRectangle, ...]
    notes: tuple[str, ...]


Executor = Callable[[MapPlan, Sequence[int], Warn], Generator[tuple[int, Numbers], None, None]]
"""Function that computes blocks by number, and yields the number and the probabilities of each, in any order."""


def plan_map(job: MapJob) -> MapPlan:
    """Open the model and the scenes, and check that they fit each other.

    Raises:
        UserError: They do not fit, or one of them cannot be read.
    """
    engine = open_engine(job.model, job.engine, job.threads)
    job = settled(job, engine.task)
    job, found = _with_gaps(job, engine.task)
    scene, notes = _survey(job, engine.task)
    grid = Grid.of(scene, job.config.stride_px, engine.task.patch_px, job.config.edges)
    notes = tuple(dict.fromkeys((*notes, *found, *grid.notes(scene))))
    blocks = tuple(grid.blocks())
    return MapPlan(job, engine, grid, grid.place(scene), blocks, notes)


def _with_gaps(job: MapJob, task: Task) -> tuple[MapJob, tuple[str, ...]]:
    """Name the fills that each scene does not declare in its options; return the job and notes."""
    found = [with_gaps(path, task.bands, reading) for path, reading in zip(job.scenes, job.readings, strict=True)]
    return replace(job, readings=tuple(reading for reading, _ in found)), tuple(
        note for _, notes in found for note in notes
    )


def _survey(job: MapJob, task: Task) -> tuple[Place, tuple[str, ...]]:
    """Open each scene once, and return the common georeference and the notes.

    Raises:
        UserError: A scene cannot be read, or its grid differs from that of the first.
    """
    places: list[Place] = []
    notes: list[str] = []
    for path, reading in zip(job.scenes, job.readings, strict=True):
        with open_scene(path, task.bands, reading) as scene:
            places.append(scene.place)
            notes += scene.notes
            notes += unlike_training(scene, task, str(path), scale_given=reading.scale is not None)
    for path, place in zip(job.scenes, places, strict=True):
        if not place.same_grid(places[0]):
            raise UserError(
                f"{path}: lies on another grid than {job.scenes[0]} ({place.text}; {places[0].text}); seasons are "
                "combined cell by cell, so warp it to the grid of the first (rio warp --like)"
            )
    return places[0], tuple(dict.fromkeys(notes))


def fill(store: BlockStore, plan: MapPlan, executor: Executor, progress: Progress, warn: Warn) -> None:
    """Compute the missing blocks, and store each at once.

    Raises:
        UserError: A scene cannot be read, or its values are digital numbers although the network takes reflectance.
    """
    sizes = [cells.rows * cells.columns for cells in plan.blocks]
    missing = store.missing()
    done = sum(sizes) - sum(sizes[number] for number in missing)
    progress(done, sum(sizes))
    with closing(executor(plan, missing, warn)) as found:
        for number, numbers in found:
            store.put(number, numbers)
            done += sizes[number]
            progress(done, sum(sizes))
