"""The plan of a find: it fits into its hours, its times are those of a simulation, and it goes to disk and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from heapq import heapreplace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.find_files import PLAN, TIMED

from compactnas.errors import UserError
from compactnas.finding.config import FindConfig
from compactnas.finding.plan import (
    LEAST_ENTRANTS,
    MOST_EPOCHS,
    RESERVE,
    Plan,
    Sizes,
    Speed,
    make_plan,
    stage_seconds,
)
from compactnas.finding.planning import TimedPlan
from compactnas.finding.rungs import survivors
from compactnas.finding.speed import seconds_a_step

SPEED = Speed(search_step=0.6, train_step=0.15, forward=5e-4, network=0.02, candidate=0.03, saving=0.02)
SIZES = Sizes(folds=3, search_steps=12, fold_steps=25, fold_rows=800, steps=38, rows=2400, test_rows=1064)


class FakeClock:
    """A clock that moves only when work is done."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def simulated(plan: Plan, speed: Speed, sizes: Sizes) -> float:
    """Do all the work of a plan on a fake clock, piece by piece; the scores are the numbers of the candidates."""
    clock = FakeClock()

    def spend(seconds: float) -> None:
        clock.now += seconds

    def spend_beside(jobs: list[float], longer: float) -> None:
        if speed.processes == 1 or len(jobs) == 1:
            spend(sum(jobs))
            return
        ends = [0.0] * speed.processes
        for job in jobs:
            heapreplace(ends, ends[0] + longer * job)
        spend(max(ends))

    search = plan.search_epochs * (sizes.search_steps * speed.search_step + speed.saving)
    spend_beside([search] * plan.searches, speed.search_beside)
    for _ in range(plan.candidates):
        spend(speed.candidate)
    for _ in range(plan.candidates * plan.searches):
        spend(speed.network + (plan.calibration + min(plan.ranked_rows, sizes.fold_rows)) * speed.forward)
    alive, trained = list(range(plan.entrants)), 0
    for epochs in plan.rungs:
        training = speed.network + 2 * sizes.fold_rows * speed.forward
        training += (epochs - trained) * (sizes.fold_steps * speed.train_step + speed.saving)
        if epochs == plan.rungs[-1]:
            training += 5 * (sizes.fold_rows + 2048) * speed.forward
        spend_beside([training] * len(alive) * plan.folds, speed.train_beside)
        trained, alive = epochs, survivors({number: float(number) for number in alive}, control=0)
    spend(plan.teachers * 8 * sizes.rows * speed.forward)
    for _ in range(plan.epochs):
        spend(sizes.steps * speed.train_step + speed.saving)
    spend((sizes.test_rows + 2048) * speed.forward)
    return clock.now


@given(
    hours=st.floats(0.2, 30),
    pace=st.floats(0.1, 5),
    searches=st.sampled_from([None, 0, 1, 3]),
    folds=st.integers(2, 5),
    processes=st.sampled_from([1, 2, 8]),
    longer=st.floats(1, 2),
)
def test_a_plan_takes_its_hours_within_15_percent_on_a_fake_clock(
    hours: float, pace: float, searches: int | None, folds: int, processes: int, longer: float
) -> None:
    speed = replace(Speed(*(pace * seconds for seconds in list(vars(SPEED).values())[:6])), processes=processes)
    if processes > 1:
        speed = replace(speed, search_beside=longer, train_beside=1.5 * longer)
    sizes = replace(SIZES, folds=folds)
    choice = FindConfig(hours=hours, searches=min(searches, folds) if searches else searches, folds=folds)
    try:
        plan = make_plan(speed, sizes, choice, spent=10.0)
    except UserError as error:
        least = float(str(error).split("--hours ")[1].split()[0])
        assert least > hours * 0.99
        make_plan(speed, sizes, replace(choice, hours=least), spent=10.0)
        return
    taken = 10.0 + simulated(plan, speed, sizes)
    assert taken <= (1 - RESERVE + 0.01) * 3600 * hours
    assert taken >= 0.85 * 3600 * hours or plan.epochs == MOST_EPOCHS
    assert plan.entrants >= LEAST_ENTRANTS and plan.searches <= folds and plan.controls < plan.entrants
    assert (plan.searches == 0) == (searches == 0)
    assert plan.candidates >= plan.entrants


def test_the_times_of_the_stages_are_those_of_the_work() -> None:
    for hours in (0.2, 1.0, 8.0):
        plan = make_plan(SPEED, SIZES, FindConfig(hours=hours))
        assert sum(stage_seconds(plan, SPEED, SIZES).values()) == pytest.approx(simulated(plan, SPEED, SIZES), rel=0.02)


def test_more_hours_give_more_of_everything() -> None:
    plans = [make_plan(SPEED, SIZES, FindConfig(hours=hours)) for hours in (0.2, 1.0, 5.0)]
    for name in ("searches", "candidates", "entrants", "teachers", "epochs"):
        numbers = [getattr(plan, name) for plan in plans]
        assert numbers == sorted(numbers), name
    assert plans[-1].searches == SIZES.folds and plans[-1].teachers >= 2


def test_named_teachers_replace_the_runners_up() -> None:
    assert make_plan(SPEED, replace(SIZES, teachers=1), FindConfig(hours=2.0)).teachers == 0
    assert make_plan(SPEED, SIZES, FindConfig(hours=2.0, ensemble=False)).teachers == 0


def test_too_few_hours_say_the_least() -> None:
    with pytest.raises(UserError, match=r"^hours: 0\.01 is too short: the smallest plan takes 0\.\d+ hours"):
        make_plan(SPEED, SIZES, FindConfig(hours=0.01))


def test_a_step_is_timed_after_the_first_ones_for_as_long_as_asked() -> None:
    clock, taken = FakeClock(), list[int]()

    def steps() -> Iterator[None]:
        for number in range(10_000):
            clock.now += 30.0 if number < 2 else 0.25 + 0.5 * (number % 2)  # slow at first, then 0.5 on average
            taken.append(number)
            yield

    assert seconds_a_step(steps(), 10.0, clock) == pytest.approx(0.5)
    assert len(taken) == 2 + 20
    assert seconds_a_step(steps(), 0.0, clock) == pytest.approx(0.5, rel=0.2)


def test_a_plan_goes_to_disk_and_back(tmp_path: Path) -> None:
    TIMED.write(tmp_path / "plan.json")
    assert TimedPlan.read(tmp_path / "plan.json") == TIMED
    assert len(TIMED.lines()) == 6 and "2 searches of 2 epochs" in TIMED.lines()[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": 0}, "epochs is not a whole number from 1"),
        ({"rungs": [3, 1]}, "rungs do not grow"),
        ({"rungs": []}, "rungs is not a list"),
        ({"searches": 3}, "more searches than folds"),
        ({"entrants": 9}, "more entrants than candidates"),
        ({"candidates": "many"}, "candidates is not a whole number"),
        ({"epochs": None}, "epochs is not a whole number"),
    ],
)
def test_a_wrong_plan_is_one_line(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    file = tmp_path / "plan.json"
    TIMED.write(file)
    raw = json.loads(file.read_text())
    raw["plan"] |= change
    file.write_text(json.dumps(raw))
    with pytest.raises(UserError, match=said):
        TimedPlan.read(file)
    TIMED.write(file)
    raw = json.loads(file.read_text())
    del raw["seconds"]["halving"]
    file.write_text(json.dumps(raw))
    with pytest.raises(UserError, match=r"not the plan of a find \('halving'\)"):
        TimedPlan.read(file)
    file.write_text("[1]")
    with pytest.raises(UserError, match="not the plan of a find"):
        TimedPlan.read(file)


def test_candidates_of_each_rung() -> None:
    assert replace(PLAN, entrants=20, rungs=(1, 3, 9)).alive == (20, 7, 3)
    assert survivors({5: 0.5, 6: 0.9, 7: 0.1, 8: 0.9, 9: 0.2, 2: 0.0}, control=2) == [2, 6, 8]
    assert survivors({1: 0.3, 2: 0.1}, control=1) == [1]


def test_side_by_side_takes_as_many_rounds_as_needed() -> None:
    speed = replace(SPEED, processes=4, search_beside=2.0, train_beside=3.0)
    assert [speed.searches(count) for count in (0, 1, 2, 4, 5)] == [0, 1, 2, 2, 4]
    assert [speed.trainings(count) for count in (1, 4, 9)] == [1, 3, 9]
    assert [SPEED.trainings(count) for count in (0, 1, 7)] == [0, 1, 7]
