"""Which mode a map is made in, ready to judge blocks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from compactnas.export.engines import Engine, TorchEngine, open_engine
from compactnas.maps.blocks import Block, read_block
from compactnas.maps.dense import Dense, learn_likeness, sample
from compactnas.maps.exact import Exact, Mode
from compactnas.maps.grid import Grid
from compactnas.maps.job import Job, Warn
from compactnas.maps.levels import levels_of
from compactnas.maps.reading import open_scene


def mode_of(job: Job, engine: Engine, grid: Grid, warn: Warn) -> Mode:
    """What judges the cells of a block; the dense mode first learns from windows of each scene.

    Args:
        job: what to map.
        engine: that judges single windows.
        grid: of the scenes.
        warn: hears how the dense mode will do.

    Errors:
        UserError: the dense mode is not for this network, or a scene cannot be read.
    """
    exact = Exact(engine, job.config.batch_size)
    if job.config.mode == "exact":
        return exact
    shared = engine if isinstance(engine, TorchEngine) else open_engine(job.model, "torch", job.threads)
    assert isinstance(shared, TorchEngine)
    levels = levels_of(shared.network)

    def tiles() -> Iterator[Block]:
        for path, reading in zip(job.scenes, job.readings, strict=True):
            with open_scene(path, engine.bands, reading) as scene:
                yield from sample(partial(read_block, scene, grid, min_valid=job.config.min_valid), grid)

    likeness = learn_likeness(levels, exact, tiles())
    if likeness is None:
        warn("--mode dense: too few neighbourhoods without a hole to learn from; the map is made in the exact mode")
        return exact
    warn(
        f"--mode dense: {100 * likeness.alone:.1f} % of cells will be judged alone, so that about "
        f"{100 * likeness.agreement:.1f} % of all have the class of the exact mode"
    )
    return Dense(levels, exact, likeness)
