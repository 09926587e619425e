"""A study as jobs: each a run folder that is named by what it computes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from compactnas.config import NEUTRAL, MachineConfig, RunConfig, SearchConfig, TrainConfig
from compactnas.io.atomic import write_json
from compactnas.runs.folder import config_values
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space
from compactnas.studies.config import RANDOM, StudyConfig

LAST = "job.json"
"""File that is written when a job is done: its name, and the jobs that it needed."""

DEFAULTS = 1
"""Raised when a default of `RunConfig` changes: a job's key holds what differs from the defaults, so that a new
option does not make every finished job another one."""


@dataclass(frozen=True)
class StudyJob:
    """One search, one random search, or one training with its evaluation.

    Attributes:
        kind: which of them.
        method: a setting of the search, a baseline's name, `random`, or the name of a random search.
        split: Split of training and test; empty for a search.
        config: Config of the run.
        needs: Searches, one of them gives the genotype, by seed, for a random search also the budget; none for a
            search or a baseline.
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
        """Hash of all that the job's result depends on; the same job has the same one in every study."""
        needs = [job.key for job in self.needs]
        neutral = {name: getattr(MachineConfig(), name) for name in NEUTRAL}
        config = replace(self.config, machine=replace(self.config.machine, **neutral))
        chosen = _chosen(config_values(config), config_values(RunConfig()))
        what = [DEFAULTS, self.kind, self.method if self.kind == "train" else "", chosen, needs]
        if self.genotype is not None:
            what.append(self.genotype.to_values())
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]

    def folder(self, root: Path) -> Path:
        """Its run folder."""
        return root / "jobs" / self.key

    def done(self, root: Path) -> bool:
        """Check whether the last file exists; files are written whole or not at all."""
        return (self.folder(root) / LAST).exists()

    def finish(self, root: Path) -> None:
        """Write its last file: all others are there."""
        write_json(self.folder(root) / LAST, {"name": self.name, "needs": [need.key for need in self.needs]})

    @property
    def name(self) -> str:
        """For people."""
        what = self.method if self.kind == "random_search" else f"{self.kind} {self.method}"
        where = f" on {self.split}" if self.split else ""
        return f"{what}{where}, seed {self.config.seed}"


def expand(study: StudyConfig) -> list[StudyJob]:
    """All jobs in an order in which what a job needs stands before it."""
    seeds = range(study.searches)
    searches = {method: tuple(_search(study, method, seed) for seed in seeds) for method in study.methods}
    jobs = [job for group in searches.values() for job in group]
    last = list(study.methods)[-1] if study.methods else ""
    controls = {
        name: (_random_search(study, name, like, searches[like]),) for name, like in study.random_searches.items()
    }
    jobs += [job for group in controls.values() for job in group]
    for split in study.splits:
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
    """Searches whose best network is retrained with this seed."""
    return searches if study.selection == "best" else (searches[seed % len(searches)],)


def _search(study: StudyConfig, method: str, seed: int) -> StudyJob:
    """Another training after it is the same search."""
    data, search, space = study.data_of(study.search_split), study.search_of(method), study.space_of(method)
    return StudyJob("search", method, "", RunConfig(data, space, search, TrainConfig(), study.machine, seed))


def _random_search(study: StudyConfig, name: str, like: str, needs: tuple[StudyJob, ...]) -> StudyJob:
    data, short = study.data_of(study.search_split), replace(study.train, epochs=study.random_epochs, validate_every=0)
    config = RunConfig(data, study.space_of(like), SearchConfig(search_depth=False), short, study.machine, 0)
    return StudyJob("random_search", name, "", config, needs)


def _training(study: StudyConfig, method: str, split: str, seed: int, needs: tuple[StudyJob, ...] = ()) -> StudyJob:
    """Options of a search are in `needs` alone."""
    config = RunConfig(
        study.data_of(split), Space(), SearchConfig(search_depth=False), study.train, study.machine, seed
    )
    return StudyJob("train", method, split, config, needs)


def _random(study: StudyConfig, like: str, split: str, seed: int, needs: tuple[StudyJob, ...]) -> StudyJob:
    """A cell drawn from the space of the method whose network's cost it has."""
    job = _training(study, RANDOM, split, seed, needs)
    return replace(job, config=replace(job.config, space=study.space_of(like)))


def _chosen(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Values that differ from the defaults."""
    return {
        name: _chosen(value, defaults[name]) if isinstance(value, dict) else value
        for name, value in values.items()
        if value != defaults[name]
    }
