"""Choose the mode of a map, exact or dense, and prepare it to compute blocks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from compactnas.exporting.engines import Engine, TorchEngine, open_engine
from compactnas.mapping.blocks import Block, read_block
from compactnas.mapping.boundary_correction import BoundaryCorrection
from compactnas.mapping.dense import Dense, learn_correction, sample
from compactnas.mapping.exact import Exact, Mode
from compactnas.mapping.grid import Grid
from compactnas.mapping.job import MapJob
from compactnas.mapping.levels import levels_of
from compactnas.nn.stages import Stages
from compactnas.scenes.reading import open_scene


def mode_of(job: MapJob, engine: Engine, correction: BoundaryCorrection | None) -> Mode:
    """Make the mode that computes the cells of a block.

    Args:
        job: Model, scenes and options of the map.
        engine: Engine that classifies single windows.
        correction: Boundary correction of the dense mode (`learnt`); None for the exact mode.
    """
    exact = Exact(engine, job.config.batch_size)
    return exact if correction is None else Dense(_levels(job, engine), exact, correction)


def learnt(job: MapJob, engine: Engine, grid: Grid) -> BoundaryCorrection | None:
    """Learn the dense mode's boundary correction from windows of each scene; None if too few are usable.

    Raises:
        UserError: The dense mode does not support this network, or a scene cannot be read.
    """

    def tiles() -> Iterator[Block]:
        for path, reading in zip(job.scenes, job.readings, strict=True):
            with open_scene(path, engine.task.bands, reading) as scene:
                yield from sample(partial(read_block, scene, grid, min_valid=job.config.min_valid), grid)

    return learn_correction(_levels(job, engine), Exact(engine, job.config.batch_size), tiles())


def _levels(job: MapJob, engine: Engine) -> Stages:
    shared = engine if isinstance(engine, TorchEngine) else open_engine(job.model, "torch", job.threads)
    assert isinstance(shared, TorchEngine)
    return levels_of(shared.network)
