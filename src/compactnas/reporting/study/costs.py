"""Sum the cost of a study: measured time times cores, of searches and of trainings."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum
from xml.etree import ElementTree as ET

from compactnas.reporting.figures.bars import Bar, Part, bars
from compactnas.reporting.study.view import Method, Spent, StudyView, colour_of


@dataclass(frozen=True)
class Cost:
    """Time of a method in core-seconds; on a GPU, in seconds.

    Attributes:
        method: Method of the study.
        searches: Number of timed searches; for random search, of its candidates.
        search: Total time of all searches.
        trainings: Number of timed trainings.
        training: Total time of all trainings.
    """

    method: Method
    searches: int
    search: float
    trainings: int
    training: float

    @property
    def total(self) -> float:
        """Total time of searches and trainings."""
        return self.search + self.training


@dataclass(frozen=True)
class Costs:
    """Costs of all methods, with the unit of their times and the hardware."""

    rows: tuple[Cost, ...]
    unit: str
    hardware: str


def costs_of(view: StudyView) -> Costs | None:
    """Sum the times of finished jobs; None if no times were kept."""
    rows = []
    clocks: list[Spent] = []
    for method in view.methods:
        searches = [one.spent for one in view.searches_of(method.key) if one.spent is not None]
        count = len(searches)
        if (whole := view.search_clocks.get(method.key)) is not None:
            searches, count = [whole], len(view.searches_of(method.key))
        trainings = [run.spent for run in view.trainings if run.method == method.key and run.spent is not None]
        if searches or trainings:
            times = [fsum(spent.core_seconds for spent in group) for group in (searches, trainings)]
            rows.append(Cost(method, count, times[0], len(trainings), times[1]))
            clocks += searches + trainings
    if not rows:
        return None
    gpus = {spent.gpu for spent in clocks}
    unit = "core-seconds" if gpus == {""} else "GPU-seconds" if "" not in gpus else "seconds of cores and GPUs"
    threads = sorted({spent.threads for spent in clocks if not spent.gpu})
    hardware = [gpu for gpu in sorted(gpus) if gpu]
    if threads:
        hardware.append(f"{' or '.join(map(str, threads))} CPU thread{'s' * (threads != [1])} a job")
    return Costs(tuple(rows), unit, ", ".join(hardware))


def cost_figure(costs: Costs, view: StudyView) -> ET.Element | None:
    """Draw a bar for each method: searches in a light colour, trainings in the full one."""
    rows = []
    for row in costs.rows:
        colour = f"cn-c{colour_of(row.method, view.methods)}"
        parts = (
            Part(f"searching: {row.search:,.0f} {costs.unit}", row.search, f"{colour} cn-bar-light"),
            Part(f"training: {row.training:,.0f} {costs.unit}", row.training, colour),
        )
        rows.append(Bar(row.method.name, parts, f"{row.total:,.0f}"))
    return bars(rows, f"Time of searches and trainings of each method in {costs.unit}")
