"""Make, store and read the plan of a find."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compactnas.errors import UserError
from compactnas.finding.plan import STAGES, Plan, Speed, make_plan, stage_seconds
from compactnas.finding.setting import Setting
from compactnas.finding.speed import measure_speed
from compactnas.io.atomic import read_json, write_json
from compactnas.io.durations import duration

FORMAT = "compactnas-find/1"
AGAIN = "name the plan.json of a find, or leave the option out"

WHOLE = {
    "folds": (2, 100),
    "searches": (0, 100),
    "search_epochs": (0, 10_000),
    "candidates": (2, 100_000),
    "ranked_rows": (1, 10**9),
    "calibration": (1, 10**9),
    "entrants": (2, 100_000),
    "controls": (1, 100_000),
    "teachers": (0, 1000),
    "epochs": (1, 100_000),
}
"""Whole numbers of a plan, with their ranges."""


@dataclass(frozen=True)
class TimedPlan:
    """A plan with the seconds that each stage takes on the machine that made it.

    Attributes:
        plan: Numbers of the work.
        speed: Measured speed.
        seconds: Estimated seconds of each stage.
        hours: Hours that the plan was made for.
    """

    plan: Plan
    speed: Speed
    seconds: Mapping[str, float]
    hours: float

    @property
    def total(self) -> float:
        """Estimated seconds of all stages."""
        return sum(self.seconds.values())

    def write(self, file: Path) -> None:
        """Write the plan as JSON."""
        raw: dict[str, Any] = {"format": FORMAT, "hours": self.hours, "plan": asdict(self.plan)}
        write_json(file, raw | {"seconds": dict(self.seconds), "speed": asdict(self.speed)})

    @classmethod
    def read(cls, file: Path) -> TimedPlan:
        """Read a plan.

        Raises:
            UserError: The file does not exist, or it holds no plan.
        """
        raw = read_json(file, AGAIN)
        try:
            if raw["format"] != FORMAT:
                raise ValueError(f"its format is {str(raw['format'])[:40]!r}, not {FORMAT!r}")
            seconds = {name: float(raw["seconds"][name]) for name in STAGES}
            numbers: dict[str, Any] = {str(name): float(value) for name, value in raw["speed"].items()}
            speed = Speed(**numbers | {"processes": int(numbers.get("processes", 1))})
            return cls(_plan(raw["plan"]), speed, seconds, float(raw["hours"]))
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise UserError(f"{file}: not the plan of a find ({error}); {AGAIN}") from None

    def lines(self) -> list[str]:
        """Describe each stage and its time, one line each."""
        plan = self.plan
        grown = " -> ".join(f"{count} to epoch {epochs}" for count, epochs in zip(plan.alive, plan.rungs, strict=True))
        taught = f", taught by {plan.teachers} runners-up" if plan.teachers else ""
        plural = "es" * (plan.searches != 1)
        what = {
            "searches": f"{plan.searches} search{plural} of {plan.search_epochs} epochs, each without another fold",
            "candidates": f"{plan.candidates} networks within the budget",
            "ranking": f"each of them by {plan.searches} supernet{'s' * (plan.searches != 1)} on the fold held out",
            "halving": f"{grown}, each on {plan.folds} folds; {plan.controls} of {plan.entrants} chosen by chance",
            "training": f"the winner, {plan.epochs} epochs on all folds{taught}; then the test part, once",
        }
        rows = [(name, what[name], self.seconds[name]) for name in what if self.seconds[name] or plan.searches]
        found = [f"{name:<11}{duration(seconds):>7}  {text}" for name, text, seconds in rows]
        several = self.speed.processes
        beside = f"; searches and short trainings {several} at a time" * (several > 1)
        return [*found, f"{'together':<11}{duration(self.total):>7}  of {self.hours:g} h{beside}"]


def plan_for(setting: Setting, began: float) -> TimedPlan:
    """Measure the speed of this machine, and size the plan.

    Args:
        setting: Data, config and options.
        began: Moment of `time.perf_counter` at which the find began.

    Raises:
        UserError: The hours are too short.
    """
    sizes, choice = setting.sizes(), setting.choice
    speed = measure_speed(setting, sizes, choice.hours, search=choice.searches != 0)
    plan = make_plan(speed, sizes, choice, spent=time.perf_counter() - began)
    return TimedPlan(plan, speed, stage_seconds(plan, speed, sizes), choice.hours)


def require_fitting(setting: Setting, plan: Plan) -> None:
    """Check that a plan from a file fits the data and the config.

    Raises:
        UserError: It has other numbers of folds or searches than asked for, or the searches are shorter than their
            warm-up.
    """
    folds, warmup = len(setting.folds.each), setting.config.search.warmup
    if plan.folds != folds:
        raise UserError(
            f"plan: it has {plan.folds} folds, but the data {folds}; give --folds {plan.folds}, or another plan"
        )
    searches = setting.choice.searches
    if searches is not None and plan.searches != searches:
        raise UserError(
            f"searches: the plan has {plan.searches}, not {searches}; leave out --searches, or give another plan"
        )
    if plan.searches and plan.search_epochs <= warmup:
        raise UserError(
            f"plan: {plan.search_epochs} epochs of a search are not more than search.warmup={warmup}; lower the warm-up"
        )


def _plan(raw: Any) -> Plan:
    numbers: dict[str, int] = {}
    for name, (least, most) in WHOLE.items():
        value = raw[name]
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"{name} is not a whole number from {least} to {most}")
        numbers[name] = value
    rungs = raw["rungs"]
    if not isinstance(rungs, list) or not rungs or not all(type(epochs) is int and epochs > 0 for epochs in rungs):
        raise ValueError("rungs is not a list of epochs")
    if sorted(set(rungs)) != rungs:
        raise ValueError("rungs do not grow")
    if numbers["searches"] > numbers["folds"]:
        raise ValueError("there are more searches than folds")
    if not numbers["controls"] <= numbers["entrants"] <= numbers["candidates"]:
        raise ValueError("there are more controls than entrants, or more entrants than candidates")
    return Plan(rungs=tuple(rungs), **numbers)
