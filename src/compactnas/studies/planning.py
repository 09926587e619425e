"""Plan a study: its jobs and their time, from its file, the labels of its data and a few steps of each network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from compactnas.config import DataConfig
from compactnas.cost.counter import count
from compactnas.data import open_streamed
from compactnas.data.source import Facts
from compactnas.data.splits import make_parts
from compactnas.nn.baselines import BASELINES
from compactnas.nn.registry import SEARCHED, ModelSpec, build
from compactnas.search.random_genotype import random_genotype
from compactnas.search.strategies import STRATEGIES
from compactnas.studies.config import StudyConfig
from compactnas.studies.estimating import Shape, measure_steps
from compactnas.studies.jobs import StudyJob, expand

FORWARD_OF_STEP = 1 / 3
"""Share of a training step that a forward pass takes: backward costs twice as much."""


@dataclass(frozen=True)
class PlannedJob:
    """One job.

    Attributes:
        job: itself.
        done: whether it is done.
        steps: Number of steps of all epochs.
        macs: multiply-accumulates of its network for one patch; None where that is still to be found.
        seconds: that the whole job would take on this machine. A network that is still to be found is taken to be a
            random one of the space, of the depth that a search starts with.
        memory_gib: the most that it would hold, with the data where these are read into memory; on a GPU, of the
            GPU's memory, without the data.
    """

    job: StudyJob
    done: bool
    steps: int
    macs: int | None
    seconds: float
    memory_gib: float


@dataclass(frozen=True)
class StudyPlan:
    """All jobs, and the patches of each part of each split that they use."""

    jobs: tuple[PlannedJob, ...]
    parts: dict[str, dict[str, int]]


@dataclass(frozen=True)
class _Data:
    """Facts about the patches of a config: facts, patches of each part, and the memory that they take."""

    facts: Facts
    parts: dict[str, int]
    gib: float


def plan(study: StudyConfig, root: Path) -> StudyPlan:
    """Counts patches and steps, and times a few steps of each kind of network on random patches; no job is run.

    Args:
        study: what is compared.
        root: folder of the study, where some jobs may be done.

    Errors:
        UserError: the data is not there, or cannot be split as the study asks.
    """
    jobs, names = expand(study), {study.data_of(split): split for split in (study.search_split, *study.splits)}
    data = {config: _data(config) for config in dict.fromkeys(job.config.data for job in jobs)}
    shapes = {job: _shape(job, study, data[job.config.data].facts) for job in jobs}
    kinds = list(dict.fromkeys(shapes.values()))
    steps = dict(zip(kinds, measure_steps(kinds), strict=True))
    planned: dict[StudyJob, PlannedJob] = {}
    for job in jobs:
        known = data[job.config.data]
        step = steps[shapes[job]]
        memory = step.memory_gib + (0.0 if torch.cuda.is_available() else known.gib)
        if job.kind == "random_search":
            needs = [planned[need] for need in job.needs]
            seconds, count_ = sum(need.seconds for need in needs), sum(need.steps for need in needs)
        else:
            count_ = _steps(job, known.parts["train"])
            seconds = step.seconds * (count_ + _evaluations(job, known.parts))
        planned[job] = PlannedJob(job, job.done(root), count_, _macs(job, known.facts), seconds, memory)
    return StudyPlan(tuple(planned.values()), {names[config]: known.parts for config, known in data.items()})


def _data(config: DataConfig) -> _Data:
    source = open_streamed(config)
    facts = source.facts
    parts = make_parts(facts, config)[0]
    gib = len(facts.labels) * source.batch(parts["train"][:1])[0].nbytes / 2**30
    counts = {part: len(rows) for part, rows in parts.items()}
    return _Data(facts, counts, gib if gib <= config.preload_gib else 0.0)


def _shape(job: StudyJob, study: StudyConfig, facts: Facts) -> Shape:
    """Key that determines the time of a job's step; jobs with the same key share it."""
    sizes = len(facts.bands), len(facts.classes), facts.patch_px
    config = replace(job.config, data=DataConfig(), seed=0)
    if job.kind == "search":
        # The complexity loss is a product of small matrices: with and without it a step takes as long.
        return Shape(replace(config, search=replace(config.search, complexity=True)), None, *sizes)
    if job.method in BASELINES or job.genotype is not None:
        spec = _spec(job, sizes)
    else:
        depths = (study.search.initial_depth,) * study.space.blocks
        found = random_genotype(study.space, torch.Generator().manual_seed(0), depths)
        spec, config = ModelSpec(SEARCHED, *sizes, found), replace(config, space=study.space, train=study.train)
    return Shape(config, spec, *sizes)


def _steps(job: StudyJob, patches: int) -> int:
    """Steps of all epochs: a search steps through whole batches of each half, a training through all but a last patch.

    A random search computes what the searches before it did; how many steps that is depends on what they find.
    """
    if job.kind == "search":
        size = job.config.search.batch_size
        return job.config.search.epochs * max(1, patches // 2 // size)
    whole, rest = divmod(patches, job.config.train.batch_size)
    return job.config.train.epochs * (whole + (rest > 1))


def _evaluations(job: StudyJob, parts: dict[str, int]) -> float:
    """The forward passes of a training's measurements, or of a search that measures candidates at its end, in steps."""
    if job.kind == "search":
        search = job.config.search
        candidates = search.candidates if STRATEGIES[search.strategy].measures_candidates else 0
        return FORWARD_OF_STEP * candidates * (parts["train"] // 2) / search.batch_size
    train = job.config.train
    validations = max(1, train.epochs // train.validate_every) if train.validate_every else 1
    patches = parts["test"] + validations * parts["validation"]
    return FORWARD_OF_STEP * patches / train.batch_size


def _spec(job: StudyJob, sizes: tuple[int, int, int]) -> ModelSpec:
    """The network of a training that is known before any search."""
    return ModelSpec(SEARCHED if job.genotype else job.method, *sizes, job.genotype)


def _macs(job: StudyJob, facts: Facts) -> int | None:
    if job.method not in BASELINES and job.genotype is None:
        return None
    spec = _spec(job, (len(facts.bands), len(facts.classes), facts.patch_px))
    return count(build(spec), spec.bands, spec.patch_px).macs
