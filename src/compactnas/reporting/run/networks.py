"""Put the runs of a page together by network: runs that differ only in their seed are one network with a spread."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as ET

from compactnas.evaluation.evaluation import Evaluation
from compactnas.nn.baselines import BASELINES
from compactnas.reporting.figures.scatter import HALF, MACS, PARAMETERS, Dot, plane
from compactnas.reporting.run.reading import RunFolder
from compactnas.reporting.run.tables import comparable, method_of
from compactnas.reporting.study.seeds import SeedStats
from compactnas.selection.pareto_front import pareto_front

FREE = ("seed", "machine")
"""Parts of the config in which runs of one network may differ."""


@dataclass(frozen=True)
class Network:
    """A network with its evaluated runs.

    Attributes:
        name: Name in figures and sentences.
        kind: Found by the run's own search, built by hand, or given by a genotype.
        runs: Runs, one for each seed.
        place: Place of the first run on the page.
    """

    name: str
    kind: Literal["found", "baseline", "given"]
    runs: tuple[RunFolder, ...]
    place: int

    @property
    def evaluations(self) -> list[Evaluation]:
        """Evaluations of the runs."""
        return [run.evaluation for run in self.runs if run.evaluation]

    @property
    def oa(self) -> SeedStats:
        """OA in per cent over the seeds."""
        return SeedStats.of([100 * one.measures.oa for one in self.evaluations])

    @property
    def macs(self) -> float:
        """Mean number of MACs, in millions."""
        return SeedStats.of([one.macs / 1e6 for one in self.evaluations]).mean

    @property
    def parameters(self) -> float:
        """Mean number of trained weights, in millions."""
        return SeedStats.of([one.parameters / 1e6 for one in self.evaluations]).mean

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the OA of a single run, in per cent; None if it has none."""
        found = self.evaluations[0].interval("oa") if len(self.runs) == 1 else None
        return None if found is None else (100 * found[0], 100 * found[1])


def networks_of(runs: Sequence[RunFolder]) -> list[Network]:
    """List the networks of evaluated runs in the order of the page."""
    groups: dict[str, list[tuple[int, RunFolder]]] = {}
    for place, run in enumerate(runs):
        if run.evaluation:
            groups.setdefault(_key(run), []).append((place, run))
    methods = [method_of(group[0][1]) for group in groups.values()]
    found = []
    for method, group in zip(methods, groups.values(), strict=True):
        place, first = group[0]
        name = method if methods.count(method) == 1 else f"{method} ({first.path.resolve().name})"
        found.append(Network(name, _kind(first), tuple(run for _, run in group), place))
    return found


def _key(run: RunFolder) -> str:
    """Identify the network of a run. Without a config, nothing is known about its seed."""
    if not run.config or run.evaluation is None:
        return str(run.path.resolve())
    config = {name: value for name, value in run.config.items() if name not in FREE}
    own = "" if run.search or run.genotype is None else run.genotype.to_json()
    measured = [run.evaluation.part, run.evaluation.n]
    return json.dumps([method_of(run), config, own, measured], sort_keys=True, default=str)


def _kind(run: RunFolder) -> Literal["found", "baseline", "given"]:
    if run.evaluation and run.evaluation.model in BASELINES:
        return "baseline"
    return "found" if run.search else "given"


@dataclass(frozen=True)
class Planes:
    """Accuracy against MACs and against parameters, and what the bars and the line mean; empty for one network."""

    figures: tuple[ET.Element, ...]
    note: str


def planes_of(runs: Sequence[RunFolder]) -> Planes:
    """Draw the networks of a page. Networks measured on the same patches get the Pareto front."""
    networks = networks_of(runs)
    bars, note = _bars(networks)
    figures = []
    for title, axis, cost in (
        ("Accuracy and computation", MACS, [one.macs for one in networks]),
        ("Accuracy and size", PARAMETERS, [one.parameters for one in networks]),
    ):
        dots = [
            Dot(one.name, x, one.oa.mean, place % 6, bar)
            for place, (one, x, bar) in enumerate(zip(networks, cost, bars, strict=True))
        ]
        front = pareto_front([(dot.x, dot.y) for dot in dots]) if comparable(runs) and len(dots) > 2 else []
        if (figure := plane(dots, title, axis, HALF, front)) is not None:
            figures.append(figure)
    if comparable(runs) and len(networks) > 2:
        note += " Filled dots are on the Pareto front: no other network is at least as accurate for less cost."
    return Planes(tuple(figures), note.strip())


def _bars(networks: Sequence[Network]) -> tuple[list[tuple[float, float] | None], str]:
    """Find the error bar of each network: over seeds if any network has several, else over places."""
    if any(len(one.runs) > 1 for one in networks):
        seeds = ", ".join(f"{one.name} {len(one.runs)}" for one in networks)
        return [one.oa.bar for one in networks], f"Dots are means, bars one standard deviation over seeds ({seeds})."
    bars = [one.interval for one in networks]
    groups = "Bars are 95 % intervals, from bootstrap samples of whole groups of the test part; they hold no spread "
    return bars, (groups + "over seeds, because each network has one run.") if any(bars) else ""
