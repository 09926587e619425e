"""Measure how fast this machine does the parts of a find, on its own patches and networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import torch

from compactnas.data.batches import drawing
from compactnas.data.streams import Stream
from compactnas.evaluation.evaluate import BATCH, probabilities
from compactnas.finding.plan import Sizes, Speed
from compactnas.finding.pool import random_networks
from compactnas.finding.setting import Setting
from compactnas.finding.side_by_side import crew
from compactnas.runs.checkpoints import Checkpoints
from compactnas.search.derivation import derive_within
from compactnas.search.searcher import Searcher
from compactnas.space.genotype import Genotype
from compactnas.training.runtime import Listener, Silent
from compactnas.training.trainer import Training

Clock = Callable[[], float]

WARM, LEAST = 2, 5
"""Steps before the timing, and least number of timed steps; sampled paths differ, so the mean counts."""

TIMED_SHARE, MOST_TIMED_S = 0.01, 20.0
"""Share of the hours that each kind of step is timed, and the most seconds."""

NETWORKS = 2
"""Most networks that are timed; networks of one budget differ in speed."""


def seconds_a_step(epochs: Iterator[Any], least_s: float, clock: Clock = time.perf_counter, warm: int = WARM) -> float:
    """Mean seconds of a step, after some steps to warm up.

    Args:
        epochs: One item for each step that was taken.
        least_s: Seconds to measure at least.
        clock: Clock in seconds.
        warm: Steps before the timing.
    """
    for _ in range(warm):
        next(epochs)
    began, steps = clock(), 0
    while steps < LEAST or clock() - began < least_s:
        next(epochs)
        steps += 1
    return (clock() - began) / steps


def measure_speed(
    setting: Setting, sizes: Sizes, hours: float, *, search: bool, clock: Clock = time.perf_counter
) -> Speed:
    """Measure the speed of each part of the work.

    Args:
        setting: Data, config and device of the find.
        sizes: Sizes of the data.
        hours: Time of the whole find, of which the measurement takes a few per cent.
        search: Whether the plan may have searches.
        clock: Clock in seconds.
    """
    least_s = min(TIMED_SHARE * 3600 * hours, MOST_TIMED_S)
    pool = random_networks(setting, drawing(setting.config.seed, Stream.POOL))
    drawn = [next(pool)]
    began = clock()
    drawn += islice(pool, NETWORKS - 1)
    derive_within(setting.architecture(), setting.budgets, setting.skip_limit)
    candidate = (clock() - began) / NETWORKS
    trained = [_training(setting, genotype, least_s / len(drawn), clock) for genotype in drawn]
    step, forward, network, saving = (fmean(values) for values in zip(*trained, strict=True))
    search_step = seconds_a_step(_steps(_search(setting)), least_s, clock) if search else 0.0
    alone = Speed(search_step, step, forward, network, candidate, saving)
    if setting.sharing.processes == 1:
        return alone
    return _beside(setting, alone, dict(zip(drawn, (values[0] for values in trained), strict=True)), least_s)


def _beside(setting: Setting, alone: Speed, steps: Mapping[Genotype, float], least_s: float) -> Speed:
    """Measure how many times as long searches and trainings take side by side.

    Args:
        setting: Data, config and device of the find.
        alone: Speed of each part of the work alone.
        steps: Seconds of a step of each network alone.
        least_s: Seconds to measure at least.
    """
    processes, found = setting.sharing.processes, dict[str, float]()
    searches = min(processes, setting.choice.searches or len(setting.folds.each))
    with crew(setting, _timed, Silent()) as timers:

        def longer(networks: Sequence[Genotype | None], base: Sequence[float], least_s: float) -> float:
            """Mean of the seconds of a step beside the others, divided by those alone."""
            tasks = {f"process {number}": (network, least_s) for number, network in enumerate(networks)}
            timers.do("timing", tasks, found.__setitem__, of=len(tasks))
            return fmean(found[name] / one for name, one in zip(tasks, base, strict=True))

        networks = list(islice(cycle(steps), processes))
        base = [steps[network] for network in networks]
        longer(networks, base, 0.0)  # each process opens its data, so that all begin at the same time afterwards
        train = longer(networks, base, least_s)
        timed = alone.search_step and searches > 1
        search = longer([None] * searches, [alone.search_step] * searches, least_s) if timed else 1.0
    return replace(alone, processes=processes, train_beside=train, search_beside=search)


def _timed(setting: Setting, task: tuple[Genotype | None, float], listener: Listener) -> float:
    """Seconds of a step of a network's training, or of a search without a network."""
    genotype, least_s = task
    trainer = _search(setting) if genotype is None else _network_in_training(setting, genotype)
    return seconds_a_step(_steps(trainer), least_s)


def _training(setting: Setting, genotype: Genotype, least_s: float, clock: Clock) -> tuple[float, float, float, float]:
    """Seconds of a step, of the prediction of a patch, of building a network, and of a checkpoint."""
    held_out = setting.held_out(0)
    began = clock()
    held_out.network(genotype, 0)
    built = clock() - began
    training = _network_in_training(setting, genotype)
    step = seconds_a_step(_steps(training), least_s, clock)
    with TemporaryDirectory() as folder:
        began = clock()
        Checkpoints(Path(folder), 1).save(1, 0, {"rows": [], "step": 0, "state": training.state()})
        saving = clock() - began
    rows = held_out.train[: 2 * BATCH]
    times = []
    for _ in range(2):  # the first one warms up
        began = clock()
        probabilities(training.network, held_out.source, rows, setting.fabric.device)
        times.append(clock() - began)
    return step, times[-1] / len(rows), built, saving


def _network_in_training(setting: Setting, genotype: Genotype) -> Training:
    held_out = setting.held_out(0)
    train = replace(setting.short_train, average_last=1.0 if setting.config.train.average_last else 0.0)
    return Training(
        held_out.network(genotype, 0),
        train,
        held_out.source,
        held_out.train,
        held_out.rows,
        0,
        setting.fabric,
        channels_last=setting.config.machine.channels_last,
    )


def _search(setting: Setting) -> Searcher:
    config = setting.config
    return Searcher(
        config.space,
        replace(config.search, warmup=0),
        setting.search_data(0),
        setting.fabric,
        seed=config.seed,
        channels_last=config.machine.channels_last,
    )


def _steps(trainer: Training | Searcher) -> Iterator[Any]:
    """Run epochs without end, and wait for the GPU after each step."""
    while True:
        for step in trainer.run_epoch(0):
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            yield step
