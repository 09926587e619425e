"""Expand a study into jobs. Each has a run folder, named by a hash of everything its result depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from compactnas.config import NEUTRAL, MachineConfig, RunConfig, SearchConfig, TrainConfig
from compactnas.io.atomic import write_json
from compactnas.runs.folder import config_values
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space
from compactnas.studies.config import RANDOM, StudyConfig

LAST = "job.json"
"""File that is written when a job is done. It holds the job's name and the keys of the jobs that it needed."""

DEFAULTS = 1
"""Version of the defaults of `RunConfig`; raise it when a default changes.

The key of a job depends only on values that differ from the defaults, so that a new option keeps the keys of finished
jobs.
"""


@dataclass(frozen=True)
class StudyJob:
    """One search, one random search, or one training with its evaluation.

    Attributes:
        kind: Kind of the job.
        method: Setting of the search, name of a baseline or network, `random`, or name of a random search.
        split: Split of training and test; empty for a search that serves all splits.
        config: Config of the run.
        needs: Jobs to finish first: the searches of a method by seed. One gives the genotype; together they give the
            budget of a random search. Empty for a search, a baseline or a given network.
        genotype: Genotype of a network that the study does not search for.
    """

    kind: Literal["search", "random_search", "train"]
    method: str
    split: str
    config: RunConfig
    needs: tuple[StudyJob, ...] = ()
    genotype: Genotype | None = None

    @cached_property
    def key(self) -> str:
        """Hash of everything that the job's result depends on. The same job has the same key in every study."""
        needs = [job.key for job in self.needs]
        neutral = {name: getattr(MachineConfig(), name) for name in NEUTRAL}
        config = replace(self.config, machine=replace(self.config.machine, **neutral))
        chosen = _chosen(config_values(config), _default_values())
        what = [DEFAULTS, self.kind, self.method if self.kind == "train" else "", chosen, needs]
        if self.genotype is not None:
            what.append(self.genotype.to_values())
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]

    def folder(self, root: Path) -> Path:
        """Run folder of the job."""
        return root / "jobs" / self.key

    def done(self, root: Path) -> bool:
        """Check whether the job is done: its last file exists."""
        return (self.folder(root) / LAST).exists()

    def ready(self, root: Path) -> bool:
        """Check whether all jobs that the job needs are done."""
        return all(need.done(root) for need in self.needs)

    def finish(self, root: Path) -> None:
        """Mark the job as done by writing its last file, after all others."""
        write_json(self.folder(root) / LAST, {"name": self.name, "needs": [need.key for need in self.needs]})

    @property
    def name(self) -> str:
        """Name of the job in messages and reports."""
        what = self.method if self.kind == "random_search" else f"{self.kind} {self.method}"
        where = f" on {self.split}" if self.split else ""
        return f"{what}{where}, seed {self.config.seed}"


Searches = dict[str, tuple[StudyJob, ...]]
"""Name of a method or control -> its searches."""


def expand(study: StudyConfig) -> list[StudyJob]:
    """List all jobs of a study, each after the jobs that it needs."""
    jobs: list[StudyJob] = []
    found: dict[str, tuple[Searches, Searches]] = {}
    for split in study.tested:
        where = study.searched_on(split)
        if where not in found:
            found[where] = _searches(study, where)
            jobs += [job for groups in found[where] for group in groups.values() for job in group]
    for split in study.tested:
        jobs += _trainings(study, split, *found[study.searched_on(split)])
    return jobs


def jobs_to_do(jobs: Sequence[StudyJob], root: Path) -> list[StudyJob]:
    """List the jobs that are not done, each folder once: methods may differ in name only."""
    return list({job.key: job for job in reversed(jobs) if not job.done(root)}.values())[::-1]


def _searches(study: StudyConfig, where: str) -> tuple[Searches, Searches]:
    """Make the searches of each method and each random search on the training part of a split."""
    seeds = range(study.searches)
    searches = {method: tuple(_search(study, method, seed, where) for seed in seeds) for method in study.methods}
    controls: Searches = {
        name: (_random_search(study, name, like, where, searches[like]),)
        for name, like in study.random_searches.items()
    }
    return searches, controls


def _trainings(study: StudyConfig, split: str, searches: Searches, controls: Searches) -> list[StudyJob]:
    """Make the trainings of all networks on a split."""
    jobs: list[StudyJob] = []
    last = list(study.methods)[-1] if study.methods else ""
    for seed in range(study.retrainings):
        taken = {method: _taken(study, group, seed) for method, group in searches.items()}
        jobs += [_training(study, name, split, seed) for name in study.baselines]
        jobs += [
            replace(_training(study, name, split, seed), genotype=study.network_of(name)) for name in study.networks
        ]
        jobs += [_training(study, method, split, seed, taken[method]) for method in study.methods]
        if study.random:
            jobs.append(_random(study, last, split, seed, taken[last]))
        jobs += [_training(study, name, split, seed, control) for name, control in controls.items()]
    return jobs


def _taken(study: StudyConfig, searches: tuple[StudyJob, ...], seed: int) -> tuple[StudyJob, ...]:
    """Select the searches whose best network is retrained with this seed."""
    return searches if study.selection == "best" else (searches[seed % len(searches)],)


def _search(study: StudyConfig, method: str, seed: int, where: str) -> StudyJob:
    """Make a search. Its training options are the defaults, because its result does not depend on them."""
    data, search, space = study.data_of(where), study.search_of(method), study.space_of(method)
    config = RunConfig(data, space, search, TrainConfig(), study.machine, seed)
    return StudyJob("search", method, where if study.folds else "", config)


def _random_search(study: StudyConfig, name: str, like: str, where: str, needs: tuple[StudyJob, ...]) -> StudyJob:
    data, short = study.data_of(where), replace(study.train, epochs=study.random_epochs, validate_every=0)
    search = SearchConfig(search_depth=False, halves=study.search_of(like).halves)
    config = RunConfig(data, study.space_of(like), search, short, study.machine, 0)
    return StudyJob("random_search", name, where if study.folds else "", config, needs)


def _training(study: StudyConfig, method: str, split: str, seed: int, needs: tuple[StudyJob, ...] = ()) -> StudyJob:
    """Make a training. Its search options are the defaults, because only the jobs in `needs` use them."""
    config = RunConfig(
        study.data_of(split), Space(), SearchConfig(search_depth=False), study.train, study.machine, seed
    )
    return StudyJob("train", method, split, config, needs)


def _random(study: StudyConfig, like: str, split: str, seed: int, needs: tuple[StudyJob, ...]) -> StudyJob:
    """Make a training of a random cell from the space of the method `like`, with the cost of its network."""
    job = _training(study, RANDOM, split, seed, needs)
    return replace(job, config=replace(job.config, space=study.space_of(like)))


@cache
def _default_values() -> dict[str, Any]:
    return config_values(RunConfig())


def _chosen(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Keep only values that differ from the defaults."""
    return {
        name: _chosen(value, defaults[name]) if isinstance(value, dict) else value
        for name, value in values.items()
        if value != defaults[name]
    }
