"""Plan a study: list its jobs and estimate their time from a few steps of each network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from compactnas.config import DataConfig, RunConfig, SearchConfig
from compactnas.cost.counter import count
from compactnas.data import open_streamed
from compactnas.data.source import Facts, preloaded_gib
from compactnas.data.splits import make_parts
from compactnas.nn.baselines import BASELINES
from compactnas.nn.registry import SEARCHED, ModelSpec, build
from compactnas.search.perturbation import mixture_passes
from compactnas.search.random_genotype import random_genotype
from compactnas.search.strategies import STRATEGIES
from compactnas.search.strategy import FORWARD_OF_STEP
from compactnas.space.search_space import Space
from compactnas.studies.config import StudyConfig
from compactnas.studies.estimating import Shape, measure_steps
from compactnas.studies.jobs import StudyJob, expand


@dataclass(frozen=True)
class PlannedJob:
    """A job with its estimated cost.

    Attributes:
        job: Job of the study.
        done: Whether the job is done.
        steps: Number of steps of all epochs.
        macs: Multiply-accumulates of its network for one patch; None if the network is not found yet.
        seconds: Estimated time of the whole job on this machine. For a network that is not found yet, a random network
            of the space with the initial depth of a search is measured.
        memory_gib: Estimated peak memory, including data that is read into memory; on a GPU, memory of the GPU without
            the data.
    """

    job: StudyJob
    done: bool
    steps: int
    macs: int | None
    seconds: float
    memory_gib: float


@dataclass(frozen=True)
class StudyPlan:
    """Plan of a study: all jobs, and the number of patches in each part of each split."""

    jobs: tuple[PlannedJob, ...]
    parts: dict[str, dict[str, int]]


@dataclass(frozen=True)
class _Data:
    """Data of a config: facts, number of patches in each part, and memory in GiB."""

    facts: Facts
    parts: dict[str, int]
    gib: float


def plan(study: StudyConfig, root: Path) -> StudyPlan:
    """Count patches and steps, and time a few steps of each kind of network on random patches. No job is run.

    Args:
        study: Study to plan.
        root: Folder of the study, in which jobs may already be done.

    Raises:
        UserError: The data does not exist, or the splits of the study do not fit it.
    """
    jobs, names = (
        expand(study),
        {study.data_of(split): split for split in (*map(study.searched_on, study.tested), *study.tested)},
    )
    data = {config: _data(config) for config in dict.fromkeys(job.config.data for job in jobs)}
    shapes = {job: _shape(job, study, data[job.config.data].facts) for job in jobs}
    kinds = list(dict.fromkeys(shapes.values()))
    steps = dict(zip(kinds, measure_steps(kinds), strict=True))
    specs = {job: _known(job, data[job.config.data].facts) for job in jobs}
    macs = {spec: _macs(spec) for spec in dict.fromkeys(specs.values())}
    planned: dict[StudyJob, PlannedJob] = {}
    for job in jobs:
        known = data[job.config.data]
        step = steps[shapes[job]]
        memory = step.memory_gib + (0.0 if torch.cuda.is_available() else known.gib)
        if job.kind == "random_search":
            needs = [planned[need] for need in job.needs]
            seconds, count_ = sum(need.seconds for need in needs), sum(need.steps for need in needs)
        else:
            count_ = steps_of(job, known.parts["train"])
            seconds = step.seconds * (count_ + evaluations_of(job, known.parts))
        planned[job] = PlannedJob(job, job.done(root), count_, macs[specs[job]], seconds, memory)
    return StudyPlan(tuple(planned.values()), {names[config]: known.parts for config, known in data.items()})


def _data(config: DataConfig) -> _Data:
    source = open_streamed(config)
    facts = source.facts
    parts = make_parts(facts, config)[0]
    counts = {part: len(rows) for part, rows in parts.items()}
    return _Data(facts, counts, preloaded_gib(source, config.preload_gib))


def _shape(job: StudyJob, study: StudyConfig, facts: Facts) -> Shape:
    """Find what determines the time of a job's step; jobs with the same shape are measured once."""
    sizes = len(facts.bands), len(facts.classes), facts.patch_px
    config = replace(job.config, data=DataConfig(), seed=0, train=replace(job.config.train, teachers=()))
    if job.kind == "search":
        # The complexity loss multiplies small matrices, so a step takes as long with it as without it.
        return Shape(replace(config, search=replace(config.search, complexity=True)), None, *sizes)
    if job.method in BASELINES or job.genotype is not None:
        spec = _spec(job, sizes)
    else:
        source = _searched(job)
        spec = typical_network(source.space, source.search, sizes)
        config = replace(config, space=source.space, train=replace(study.train, teachers=()))
    return Shape(config, spec, *sizes)


def _searched(job: StudyJob) -> RunConfig:
    """Find the config of the search whose space the network of a job is from."""
    while job.kind != "search":
        job = job.needs[0]
    return job.config


def typical_network(space: Space, search: SearchConfig, sizes: tuple[int, int, int]) -> ModelSpec:
    """Describe a random network, whose time stands for that of a network which is not found yet.

    Args:
        space: Search space.
        search: Config of the search, whose first depth each block has.
        sizes: Number of bands, of classes, and of pixels of a side.
    """
    depth = min(search.initial_depth, space.max_depth) if search.search_depth else search.initial_depth
    found = random_genotype(space, torch.Generator().manual_seed(0), (depth,) * space.blocks)
    return ModelSpec(SEARCHED, *sizes, found)


def steps_of(job: StudyJob, patches: int) -> int:
    """Count the steps of all epochs of a search or a training.

    A search uses only whole batches of each half. A training uses all patches, unless the last batch has only one.
    """
    if job.kind == "search":
        size = job.config.search.batch_size
        return job.config.search.epochs * max(1, patches // 2 // size)
    whole, rest = divmod(patches, job.config.train.batch_size)
    return job.config.train.epochs * (whole + (rest > 1))


def evaluations_of(job: StudyJob, parts: dict[str, int]) -> float:
    """Convert forward passes to training steps: evaluations of a training, or of the candidates of a search."""
    if job.kind == "search":
        search = job.config.search
        batches = max(1, parts["train"] // 2 // search.batch_size)
        measured = STRATEGIES[search.strategy].measured_batches(search.candidates, batches)
        return FORWARD_OF_STEP * (measured + mixture_passes(search, job.config.space) * batches)
    train = job.config.train
    validations = max(1, train.epochs // train.validate_every) if train.validate_every else 1
    patches = parts["test"] + validations * parts["validation"]
    return FORWARD_OF_STEP * patches / train.batch_size


def _spec(job: StudyJob, sizes: tuple[int, int, int]) -> ModelSpec:
    """Describe the network of a training that needs no search."""
    return ModelSpec(SEARCHED if job.genotype else job.method, *sizes, job.genotype)


def _known(job: StudyJob, facts: Facts) -> ModelSpec | None:
    """Describe the network of a job; None if it is not found yet."""
    if job.method not in BASELINES and job.genotype is None:
        return None
    return _spec(job, (len(facts.bands), len(facts.classes), facts.patch_px))


def _macs(spec: ModelSpec | None) -> int | None:
    return None if spec is None else count(build(spec), spec.bands, spec.patch_px).macs
