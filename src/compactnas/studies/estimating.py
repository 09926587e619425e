"""Measure a few steps on random patches, to estimate the time of jobs. Each kind of network has its own process."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice, pairwise

import numpy as np
import torch

from compactnas.config import RunConfig
from compactnas.data import ArraySource, Facts, Normalization
from compactnas.distributed.fresh_processes import fresh_processes
from compactnas.nn.registry import ModelSpec, build
from compactnas.search.searcher import SearchData, Searcher
from compactnas.training.cuda_graph import WARM_UP
from compactnas.training.resumable_loop import Trainer
from compactnas.training.runtime import make_fabric, peak_memory_gib
from compactnas.training.trainer import Training

WARM, TIMED = 1, 3
"""Number of warm-up steps on a CPU, and of timed steps; the median counts, because sampled paths differ."""


@dataclass(frozen=True)
class Shape:
    """Everything that determines the time of a step.

    Attributes:
        config: Config of the run without its data and seed.
        spec: Description of the network of a training; None for a search.
        bands: Number of bands of a patch.
        classes: Number of classes.
        patch_px: Side of a patch in pixels.
    """

    config: RunConfig
    spec: ModelSpec | None
    bands: int
    classes: int
    patch_px: int


@dataclass(frozen=True)
class Step:
    """Cost of one step on this machine.

    Attributes:
        seconds: Median time of a step.
        memory_gib: Largest memory of the process, without the data; on a GPU, of the GPU.
    """

    seconds: float
    memory_gib: float


def measure_steps(shapes: list[Shape]) -> list[Step]:
    """Measure time and memory of a step of each shape, one after the other.

    Each shape has its own process, because a process does not give back memory.
    """
    with ProcessPoolExecutor(1, fresh_processes(__name__), max_tasks_per_child=1) as pool:
        return list(pool.map(measure_step, shapes))


def measure_step(shape: Shape) -> Step:
    """Measure a few steps in this process."""
    config = shape.config
    fabric, last = make_fabric(config.machine), config.machine.channels_last
    warm = WARM if fabric.device.type == "cpu" else WARM_UP + 1  # the step that records the CUDA graph is slow too
    steps = warm + TIMED
    plain = Normalization((0.5,) * shape.bands, (0.3,) * shape.bands)
    trainer: Trainer
    if shape.spec is None:
        size = config.search.batch_size * (steps + 1)
        both = np.arange(size), np.arange(size, 2 * size)
        setting = replace(config.search, warmup=0)
        source = _random_patches(shape, 2 * size)
        trainer = Searcher(config.space, setting, SearchData(source, both, plain), fabric, seed=0, channels_last=last)
    else:
        rows = np.arange(config.train.batch_size * (steps + 1))
        source, network = _random_patches(shape, len(rows)), build(shape.spec)
        trainer = Training(network, config.train, source, rows, rows[:0], 0, fabric, channels_last=last)
    times: list[float] = []
    for _ in islice(trainer.run_epoch(0), steps + 1):
        if fabric.device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter())
    spans = [later - sooner for sooner, later in pairwise(times)]
    return Step(statistics.median(spans[warm:]), peak_memory_gib())


def _random_patches(shape: Shape, patches: int) -> ArraySource:
    rng = np.random.default_rng(0)
    images = rng.random((patches, shape.bands, shape.patch_px, shape.patch_px), np.float32)
    names = tuple(map(str, range(shape.classes)))
    bands = tuple(f"band{band}" for band in range(shape.bands))
    return ArraySource(Facts("random", bands, names, shape.patch_px, rng.integers(shape.classes, size=patches)), images)
