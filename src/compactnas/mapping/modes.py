"""Choose the mode of a map, exact or dense, and prepare it to compute blocks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from compactnas.errors import UserError
from compactnas.exporting.engines import Engine, TorchEngine, open_engine
from compactnas.mapping.blocks import Block, read_block
from compactnas.mapping.boundary_correction import BoundaryCorrection
from compactnas.mapping.dense import Dense, learn_correction, sample
from compactnas.mapping.exact import Exact, Mode
from compactnas.mapping.gain import LEAST_GAIN, LIKELY, TORCH, gain
from compactnas.mapping.graph_maps import graph_maps
from compactnas.mapping.grid import Grid
from compactnas.mapping.job import MapJob
from compactnas.mapping.shared_maps import Shared, TorchMaps
from compactnas.scenes.reading import open_scene

TOO_FEW = "too few neighbourhoods without missing pixels to learn from"


def mode_of(job: MapJob, engine: Engine, correction: BoundaryCorrection | None) -> Mode:
    """Make the mode that computes the cells of a block.

    Args:
        job: Model, scenes and options of the map.
        engine: Engine that classifies single windows.
        correction: Boundary correction of the dense mode (`learnt`); None for the exact mode.

    Raises:
        UserError: The correction is of another engine's maps.
    """
    exact = Exact(engine, job.config.batch_size)
    return exact if correction is None else Dense(_shared(job, engine), exact, correction)


def learnt(job: MapJob, engine: Engine, grid: Grid) -> BoundaryCorrection | str:
    """Learn the dense mode's boundary correction from windows of each scene.

    Returns:
        The correction; or the reason for the exact mode: too few windows are usable, or, with `--mode auto`, the dense
        mode is not possible or not clearly faster.

    Raises:
        UserError: `--mode dense` is not possible with this network, or a scene cannot be read.
    """
    choosing = job.config.mode == "auto"
    try:
        shared = _shared(job, engine)
    except UserError as error:
        if choosing:
            return str(error).removeprefix("--mode dense: ").removesuffix("; use --mode exact")
        raise
    slower = TORCH if isinstance(shared.maps, TorchMaps) and not isinstance(engine, TorchEngine) else 1.0
    if choosing and gain(grid, LIKELY, slower) < LEAST_GAIN:
        return f"on this scene the dense mode is at most {gain(grid, LIKELY, slower):.1f} times as fast"

    def tiles() -> Iterator[Block]:
        for path, reading in zip(job.scenes, job.readings, strict=True):
            with open_scene(path, engine.task.bands, reading) as scene:
                yield from sample(partial(read_block, scene, grid, min_valid=job.config.min_valid), grid)

    found = learn_correction(shared, Exact(engine, job.config.batch_size), tiles())
    if found is None:
        return TOO_FEW
    if choosing and gain(grid, found.alone, slower) < LEAST_GAIN:
        return (
            f"{100 * found.alone:.1f} % of cells would be judged alone, so that the dense mode is only "
            f"{gain(grid, found.alone, slower):.1f} times as fast"
        )
    return found


def _shared(job: MapJob, engine: Engine) -> Shared:
    """What windows share of the network, with maps from the engine itself where it can compute them."""
    of_torch = engine if isinstance(engine, TorchEngine) else open_engine(job.model, "torch", job.threads)
    assert isinstance(of_torch, TorchEngine)
    return Shared.of(of_torch.network, graph_maps(job, engine))
