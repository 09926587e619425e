"""Size the stages of a find so that all of them fit into a number of hours. Pure arithmetic, without torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil

from compactnas.errors import UserError
from compactnas.finding.config import FindConfig

STAGES = ("searches", "candidates", "ranking", "halving", "training")
"""Stages of a find, in their order."""

SHARES = {"searches": 0.3, "ranking": 0.1, "halving": 0.3, "training": 0.3}
"""Share of the time that each stage gets at first; the training of the winner also gets what is left."""

RESERVE = 0.04
"""Share of the time that is left for everything that is not measured: reading, writing, reports."""

ETA = 3
"""One candidate in `ETA` goes to the next rung, which ends after `ETA` times as many epochs."""

SYMMETRIES = 8
"""Predictions of a teacher for each patch."""

GOOD_SEARCH, LEAST_SEARCH, MOST_SEARCH = 25, 3, 105
"""Epochs of a search: wanted before there is another one (as in `quick`), at least, and at most (the paper)."""

LEAST_CANDIDATES, MOST_CANDIDATES = 8, 400
LEAST_ENTRANTS, MOST_ENTRANTS, MOST_RANDOM = 4, 54, 243
"""Candidates of the first rung: at least, at most, and at most without a ranking before."""

MOST_FIRST = 12
"""Most epochs of the first rung."""

LEAST_EPOCHS, MOST_EPOCHS = 5, 150
"""Epochs of the winner's training."""

MOST_TEACHERS, TEACHER_SHARE = 6, 0.05
RANKED_ROWS, CALIBRATION = 512, 512
"""Most held-out patches of a fold that the ranking measures, and patches that calibrate the normalisation."""


@dataclass(frozen=True)
class Speed:
    """Seconds of the parts of the work on this machine.

    Attributes:
        search_step: Both half-steps of a search.
        train_step: Step of a training of a network that uses the budget.
        forward: Prediction of such a network for one patch.
        network: Building such a network.
        candidate: Drawing or deriving a candidate.
        saving: Writing a checkpoint of a training.
        processes: Number of searches or trainings at a time.
        search_beside: How many times as long a search takes beside others as alone on all cores.
        train_beside: The same of a training.
    """

    search_step: float
    train_step: float
    forward: float
    network: float
    candidate: float
    saving: float
    processes: int = 1
    search_beside: float = 1.0
    train_beside: float = 1.0

    def searches(self, count: int) -> float:
        """Wall time of some equal searches, in searches alone on all cores."""
        return self._side_by_side(count, self.search_beside)

    def trainings(self, count: int) -> float:
        """Wall time of some equal trainings, in trainings alone on all cores."""
        return self._side_by_side(count, self.train_beside)

    def _side_by_side(self, count: int, longer: float) -> float:
        alone = min(count, self.processes) <= 1
        return float(count) if alone else ceil(count / self.processes) * longer


@dataclass(frozen=True)
class Sizes:
    """Sizes of the data that the time depends on.

    Attributes:
        folds: Number of folds.
        search_steps: Steps of an epoch of a search.
        fold_steps: Steps of an epoch of a training without a fold.
        fold_rows: Patches of a fold.
        steps: Steps of an epoch of the winner's training.
        rows: Patches of the winner's training.
        test_rows: Patches of the test part.
        warmup: Epochs of a search before alpha is trained.
        measured: Predictions at the end of a search, by a strategy that measures candidates.
        mixed_steps: Steps of a search that take as long as its choice by perturbation.
        teachers: Teachers that the config names.
    """

    folds: int
    search_steps: int
    fold_steps: int
    fold_rows: int
    steps: int
    rows: int
    test_rows: int
    warmup: int = 0
    measured: int = 0
    mixed_steps: float = 0.0
    teachers: int = 0


@dataclass(frozen=True)
class Plan:
    """Numbers that fix the work of a find; the same plan gives the same networks.

    Attributes:
        folds: Number of folds.
        searches: Number of searches; number N holds out fold N.
        search_epochs: Epochs of each search.
        candidates: Number of networks of the pool.
        ranked_rows: Most held-out patches of a fold that the ranking measures.
        calibration: Patches that calibrate the normalisation in the ranking.
        entrants: Candidates of the first rung.
        controls: Entrants that chance chose; the first of them stays to the last rung.
        rungs: Epochs after which each rung ends.
        teachers: Networks of the last rung that teach the winner.
        epochs: Epochs of the winner's training.
    """

    folds: int
    searches: int
    search_epochs: int
    candidates: int
    ranked_rows: int
    calibration: int
    entrants: int
    controls: int
    rungs: tuple[int, ...]
    teachers: int
    epochs: int

    @property
    def alive(self) -> tuple[int, ...]:
        """Candidates of each rung, at most: the best third of the rung before, and a control."""
        counts = [self.entrants]
        for _ in self.rungs[1:]:
            counts.append(min(counts[-1], max(1, counts[-1] // ETA) + 1))
        return tuple(counts)


def stage_seconds(plan: Plan, speed: Speed, sizes: Sizes) -> dict[str, float]:
    """Estimate the seconds of each stage."""
    epoch = sizes.search_steps * speed.search_step + speed.saving
    search = plan.search_epochs * epoch + _conclusion(speed, sizes)
    seconds = {"searches": speed.searches(plan.searches) * search}
    seconds["candidates"] = plan.candidates * speed.candidate
    one = speed.network + (plan.calibration + min(plan.ranked_rows, sizes.fold_rows)) * speed.forward
    seconds["ranking"] = plan.searches * plan.candidates * one
    grown = [plan.rungs[0], *(after - before for before, after in pairwise(plan.rungs))]
    each = sizes.fold_steps * speed.train_step + speed.saving
    fixed = speed.network + 2 * sizes.fold_rows * speed.forward
    seconds["halving"] = sum(
        speed.trainings(plan.folds * count) * (epochs * each + fixed)
        for count, epochs in zip(plan.alive, grown, strict=True)
    )
    averaging = 5 * (sizes.fold_rows + 2048) * speed.forward  # SWAD tries four starts
    seconds["halving"] += speed.trainings(plan.folds * plan.alive[-1]) * averaging
    taught = (plan.teachers or sizes.teachers) * SYMMETRIES * sizes.rows * speed.forward
    last = (sizes.test_rows + 2048) * speed.forward
    seconds["training"] = plan.epochs * (sizes.steps * speed.train_step + speed.saving) + taught + last
    return seconds


def make_plan(speed: Speed, sizes: Sizes, choice: FindConfig, spent: float = 0.0) -> Plan:
    """Size all stages so that they fit into the hours of the config.

    Args:
        speed: Measured speed.
        sizes: Sizes of the data.
        choice: Options.
        spent: Seconds that have passed since the start.

    Raises:
        UserError: The hours are too short for the smallest plan.
    """
    total = (1 - RESERVE) * 3600 * choice.hours - spent

    def seconds(plan: Plan) -> float:
        return sum(stage_seconds(plan, speed, sizes).values())

    least = _sized(0.0, speed, sizes, choice)
    if seconds(least) > total:
        hours = (seconds(least) + spent) / (1 - RESERVE) / 3600
        raise UserError(
            f"hours: {choice.hours:g} is too short: the smallest plan takes {_up(hours):g} hours on this machine; give "
            f"--hours {_up(hours):g} or more, fewer patches, or a smaller budget"
        )
    sized = (_sized(total * part / 20, speed, sizes, choice) for part in range(20, 0, -1))
    plan = next((plan for plan in sized if seconds(plan) <= total), least)
    epoch = sizes.steps * speed.train_step + speed.saving
    rest = int((total - seconds(plan)) / epoch)
    return replace(plan, epochs=min(MOST_EPOCHS, plan.epochs + rest))


def _sized(total: float, speed: Speed, sizes: Sizes, choice: FindConfig) -> Plan:
    """Give each stage its share of the time, but at least the smallest numbers."""
    shares = {name: share * total for name, share in SHARES.items()}
    if choice.searches == 0:
        shares["halving"] += shares.pop("searches") + shares.pop("ranking")
    epoch = sizes.search_steps * speed.search_step + speed.saving
    extra = _conclusion(speed, sizes)
    searches = choice.searches
    if searches is None:
        most = shares["searches"] / (GOOD_SEARCH * epoch + extra)
        affordable = [count for count in range(1, sizes.folds + 1) if speed.searches(count) <= most]
        searches = max(affordable, default=1)
    searches = min(searches, sizes.folds)
    entrants, first, count = _halving(shares["halving"], speed, sizes, MOST_ENTRANTS if searches else MOST_RANDOM)
    search_epochs, candidates, controls = 0, entrants, 1
    if searches:
        least = max(LEAST_SEARCH, sizes.warmup + 2)
        share = shares["searches"] / speed.searches(searches)
        search_epochs = _between(least, (share - extra) / epoch, MOST_SEARCH)
        one = speed.network + (CALIBRATION + min(RANKED_ROWS, sizes.fold_rows)) * speed.forward
        wanted = shares["ranking"] / (searches * one + speed.candidate)
        candidates = max(_between(LEAST_CANDIDATES, wanted, MOST_CANDIDATES), 2 * entrants)
        controls = max(1, entrants // 5)
    teachers = 0
    if choice.ensemble and not sizes.teachers:
        fitting = int(TEACHER_SHARE * total / (SYMMETRIES * sizes.rows * speed.forward))
        teachers = min(fitting, MOST_TEACHERS) if fitting >= 2 else 0
    epochs = _between(LEAST_EPOCHS, shares["training"] / (sizes.steps * speed.train_step + speed.saving), MOST_EPOCHS)
    return Plan(
        folds=sizes.folds,
        searches=searches,
        search_epochs=search_epochs,
        candidates=candidates,
        ranked_rows=RANKED_ROWS,
        calibration=CALIBRATION,
        entrants=entrants,
        controls=controls,
        rungs=tuple(first * ETA**rung for rung in range(count)),
        teachers=teachers,
        epochs=epochs,
    )


def _conclusion(speed: Speed, sizes: Sizes) -> float:
    """Estimate the seconds from the last epoch of a search to its network."""
    return sizes.measured * speed.forward + sizes.mixed_steps * speed.search_step


def _halving(seconds: float, speed: Speed, sizes: Sizes, most: int) -> tuple[int, int, int]:
    """Choose the entrants, the epochs of the first rung and the number of rungs.

    Many entrants and long rungs are balanced: about eight entrants for each epoch of the first rung.
    """
    folds = sizes.folds * speed.train_beside / speed.processes  # as many trainings in a row, if all processes work
    each = folds * (sizes.fold_steps * speed.train_step + speed.saving)
    fixed = folds * (speed.network + 2 * sizes.fold_rows * speed.forward)
    best = (float("inf"), LEAST_ENTRANTS, 1, 2)
    for first in range(1, MOST_FIRST + 1):
        for count in (2, 3):
            passes = 1 + (count - 1) * (ETA - 1) / ETA  # epochs of the first rung that all rungs together train
            entrants = int(seconds / (passes * first * each + 1.5 * fixed))
            if entrants >= LEAST_ENTRANTS * (2 if count == 3 else 1):
                entrants = min(entrants, most)
                best = min(best, (abs(entrants - (8 * first + 4)) - 4 * (count == 3), entrants, first, count))
    return best[1:]


def _between(least: int, wanted: float, most: int) -> int:
    return max(least, min(int(wanted), most))


def _up(hours: float) -> float:
    """Round up to two digits."""
    digits = 10.0 ** -(2 - len(str(int(hours)))) if hours >= 1 else 0.001
    return round((int(hours / digits) + 1) * digits, 6)
