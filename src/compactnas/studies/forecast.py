"""Estimate the time of a run on this machine before it begins, from a few steps of its stages."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from compactnas.config import RECIPES, DataConfig, RunConfig
from compactnas.data import Dataset
from compactnas.errors import UserError
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

    A few steps of a search with each of the two strategies, and of a random network of the space with the initial depth
    of the search, are timed, each in its own process. What the user set is kept: only the strategy and numbers of
    epochs and candidates that are the paper's change with the recipe. The time of teachers is not counted.

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
    quick = _quick(config)
    plain = replace(config, data=DataConfig(), seed=0, train=replace(config.train, teachers=()))
    searches = {one.strategy: replace(plain, search=one) for one in (config.search, quick.search)}
    shapes = [Shape(one, None, *sizes) for one in searches.values()]
    if retrain:
        shapes.append(Shape(plain, typical_network(config.space, config.search, sizes), *sizes))
    steps = measure_steps(shapes)

    def seconds(setting: RunConfig) -> dict[str, float]:
        of_search = steps[list(searches).index(setting.search.strategy)]
        return {
            job.kind: step.seconds * (steps_of(job, parts["train"]) + evaluations_of(job, parts))
            for job, step in zip(_jobs(setting, retrain), [of_search, *steps[len(searches) :]], strict=True)
        }

    return seconds(config), seconds(quick)


def _quick(config: RunConfig) -> RunConfig:
    """Take the settings of `quick` that decide about time where a config has those of the paper."""
    ours, papers = RECIPES["quick"](), RECIPES["paper"]()
    search, train = config.search, config.train
    for name in ("epochs", "candidates", "strategy"):
        if getattr(search, name) == getattr(papers.search, name):
            with suppress(UserError):  # the user set an option that the strategy of `quick` does not have
                search = replace(search, **{name: getattr(ours.search, name)})
    if train.epochs == papers.train.epochs:
        train = replace(train, epochs=ours.train.epochs)
    return replace(config, search=search, train=train)


def _jobs(config: RunConfig, retrain: bool) -> list[StudyJob]:
    search = StudyJob("search", config.search.setting, "", config)
    return [search, *([StudyJob("train", search.method, "", config, needs=(search,))] if retrain else [])]
