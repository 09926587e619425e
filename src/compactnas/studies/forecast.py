"""Estimate the time of a run on this machine before it begins, from a few steps of its stages."""

from __future__ import annotations

from dataclasses import replace

from compactnas.config import RECIPES, DataConfig, RunConfig
from compactnas.data import Dataset
from compactnas.studies.estimating import Shape, measure_steps
from compactnas.studies.jobs import StudyJob
from compactnas.studies.planning import evaluations_of, steps_of, typical_network

MEASURED_FROM = 1000
"""Number of steps from which a run is measured first; a shorter one would take about as long as the measurement."""


def is_long(config: RunConfig, data: Dataset, *, retrain: bool) -> bool:
    """Check whether a run has `MEASURED_FROM` steps or more.

    Args:
        config: Config of the run.
        data: Data of the run.
        retrain: Whether the found network is trained and tested too.
    """
    return sum(steps_of(job, len(data.parts["train"])) for job in _jobs(config, retrain)) >= MEASURED_FROM


def forecast(config: RunConfig, data: Dataset, *, retrain: bool) -> tuple[dict[str, float], dict[str, float]]:
    """Estimate the seconds of each stage of a run, with its own settings and with those of the recipe `quick`.

    A few steps of the search, and of a random network of the space with the initial depth of the search, are timed in
    processes of their own. A step of `quick` takes as long as one of the run. What the user set is kept: only numbers
    of epochs that are the paper's change with the recipe. The time of teachers is not counted.

    Args:
        config: Config of the run.
        data: Data of the run.
        retrain: Whether the found network is trained and tested too.

    Returns:
        Stage (`search`, `train`) -> its seconds, for the run and for `quick`.

    Raises:
        UserError: The machine lacks the device, or a setting does not fit the data.
        RuntimeError: The device is out of memory, or a process was killed.
    """
    parts = {part: len(data.parts.get(part, ())) for part in ("train", "validation", "test")}
    facts = data.source.facts
    sizes = len(facts.bands), len(facts.classes), facts.patch_px
    plain = replace(config, data=DataConfig(), seed=0, train=replace(config.train, teachers=()))
    shapes = [Shape(plain, None, *sizes)]
    if retrain:
        shapes.append(Shape(plain, typical_network(config.space, config.search.initial_depth, sizes), *sizes))
    steps = measure_steps(shapes)

    def seconds(setting: RunConfig) -> dict[str, float]:
        return {
            job.kind: step.seconds * (steps_of(job, parts["train"]) + evaluations_of(job, parts))
            for job, step in zip(_jobs(setting, retrain), steps, strict=True)
        }

    return seconds(config), seconds(_quick(config))


def _quick(config: RunConfig) -> RunConfig:
    """Take the epochs of `quick` where a config has those of the paper."""
    ours, papers = RECIPES["quick"](), RECIPES["paper"]()
    search, train = config.search, config.train
    if search.epochs == papers.search.epochs:
        search = replace(search, epochs=ours.search.epochs)
    if train.epochs == papers.train.epochs:
        train = replace(train, epochs=ours.train.epochs)
    return replace(config, search=search, train=train)


def _jobs(config: RunConfig, retrain: bool) -> list[StudyJob]:
    search = StudyJob("search", config.search.setting, "", config)
    return [search, *([StudyJob("train", search.method, "", config, needs=(search,))] if retrain else [])]
