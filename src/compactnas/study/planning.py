"""What a study will do, from its file and the labels of its data alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compactnas.baselines import BASELINES
from compactnas.config import DataConfig
from compactnas.cost import count
from compactnas.data import open_streamed
from compactnas.data.source import Facts
from compactnas.data.splits import make_parts
from compactnas.models import ModelSpec, build
from compactnas.study.config import StudyConfig
from compactnas.study.jobs import Job, expand


@dataclass(frozen=True)
class Planned:
    """One job.

    Attributes:
        job: itself.
        done: whether it is done.
        steps: of all its epochs.
        macs: multiply-accumulates of its network for one patch; None where that is still to be found.
    """

    job: Job
    done: bool
    steps: int
    macs: int | None


@dataclass(frozen=True)
class Plan:
    """All jobs, and the patches of each part of each split that they use."""

    jobs: tuple[Planned, ...]
    parts: dict[str, dict[str, int]]


def plan(study: StudyConfig, root: Path) -> Plan:
    """Counts patches and steps; no pixel is read and nothing is run.

    Errors:
        UserError: the data is not there, or cannot be split as the study asks.
    """
    known: dict[DataConfig, tuple[Facts, dict[str, int]]] = {}
    names = {study.data_of(split): split for split in (study.search_split, *study.splits)}
    planned = []
    for job in expand(study):
        config = job.config.data
        if config not in known:
            facts = open_streamed(config).facts
            known[config] = facts, {part: len(rows) for part, rows in make_parts(facts, config)[0].items()}
        facts, parts = known[config]
        planned.append(Planned(job, job.done(root), _steps(job, parts["train"]), _macs(job, facts)))
    return Plan(tuple(planned), {names[config]: parts for config, (_, parts) in known.items()})


def _steps(job: Job, patches: int) -> int:
    """Steps of all epochs: a search steps through whole batches of each half, a training through all but a last patch.

    A random search computes what the searches before it did; how many steps that is depends on what they find.
    """
    if job.kind == "search":
        size = job.config.search.batch_size
        return job.config.search.epochs * max(1, patches // 2 // size)
    if job.kind == "random_search":
        return sum(_steps(need, patches) for need in job.needs)
    whole, rest = divmod(patches, job.config.train.batch_size)
    return job.config.train.epochs * (whole + (rest > 1))


def _macs(job: Job, facts: Facts) -> int | None:
    if job.method not in BASELINES:
        return None
    spec = ModelSpec(job.method, len(facts.bands), len(facts.classes), facts.patch_px, None)
    return count(build(spec), spec.bands, spec.patch_px).macs
