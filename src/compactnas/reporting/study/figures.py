"""Draw the figures of a study: accuracy against cost, searches, operations, confusion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from compactnas import lcz
from compactnas.io.jsonl import Row
from compactnas.reporting.figures.bars import Bar, Part, bars
from compactnas.reporting.figures.charts import Series, curves
from compactnas.reporting.figures.grids import compact_confusion
from compactnas.reporting.figures.operations import operation_label
from compactnas.reporting.figures.scatter import HALF, MACS, PARAMETERS, Dot, plane
from compactnas.reporting.study.compare import mean_oa
from compactnas.reporting.study.seeds import SeedStats
from compactnas.reporting.study.view import Method, StudyView, TrainingView, colour_of
from compactnas.selection.pareto_front import pareto_front
from compactnas.space.genotype import Genotype
from compactnas.space.operation_specs import OPERATIONS

COSTS: tuple[tuple[str, tuple[str, str], Callable[[TrainingView], float]], ...] = (
    ("Accuracy and computation", MACS, lambda run: run.evaluation.macs / 1e6),
    ("Accuracy and size", PARAMETERS, lambda run: run.evaluation.parameters / 1e6),
)
QUANTITIES: tuple[tuple[str, str, str, float], ...] = (
    ("Accuracy on D_V", "% of a batch", "accuracy_alpha", 100.0),
    ("Entropy of alpha", "nats per edge", "entropy", 1.0),
    ("Expected cost of a patch", "M MACs", "expected_macs", 1e-6),
)
"""Title, unit, name in the metrics of a search, factor."""


def cost_figures(view: StudyView, split: str) -> list[ET.Element]:
    """Draw OA against MACs and against parameters, each with the Pareto front; none for fewer than two methods."""
    shown = view.shown(split)
    figures = []
    for title, axis, cost in COSTS:
        dots = []
        for method in shown:
            oa = mean_oa(view, method, split)
            assert oa is not None, "a shown method has runs"
            x = SeedStats.of([cost(run) for run in view.runs(method.key, split)]).mean
            dots.append(Dot(method.name, x, oa.mean, colour_of(method, view.methods), oa.bar))
        front = pareto_front([(dot.x, dot.y) for dot in dots])
        if (figure := plane(dots, title, axis, HALF, front)) is not None:
            figures.append(figure)
    return figures


def search_figures(view: StudyView) -> list[ET.Element]:
    """Draw each quantity for all searches; the selected search of each method is strong and labelled."""
    searched = [method for method in view.methods if method.kind == "searched"]
    figures = []
    for title, unit, key, scale in QUANTITIES:
        series = [
            _series(method, search.rows, key, scale, colour_of(method, view.methods), faint=not search.selected)
            for method in searched
            for search in view.searches_of(method.key)
        ]
        if (figure := curves(title, unit, series)) is not None:
            figures.append(figure)
    return figures


def _series(method: Method, rows: tuple[Row, ...], key: str, scale: float, colour: int, *, faint: bool) -> Series:
    points = [
        (float(row["epoch"]), scale * float(row[key]))
        for row in rows
        if isinstance(row.get("epoch"), int) and isinstance(row.get(key), int | float)
    ]
    return Series(method.name, [x for x, _ in points], [y for _, y in points], colour, faint=faint)


@dataclass(frozen=True)
class Cells:
    """Found or random cells of a method, and how often they contain each operation."""

    name: str
    cells: int
    counts: dict[str, int]


def cells_by_method(view: StudyView) -> list[Cells]:
    """Count the operations in the cells of all searches of each method, random cells and random search included."""
    found = []
    for method in view.methods:
        genotypes: list[Genotype] = [search.genotype for search in view.searches_of(method.key)]
        if method.kind == "random" and not genotypes:  # a seed has the same cell on each split: count it once
            drawn = [run.genotype for run in view.trainings if run.method == method.key and run.genotype is not None]
            genotypes = list({genotype.to_json(): genotype for genotype in drawn}.values())
        if genotypes:
            names = [name for genotype in genotypes for edges in genotype.nodes for name, _ in edges]
            counts = {operation: names.count(operation) for operation in OPERATIONS}
            found.append(Cells(method.name, len(genotypes), counts))
    return found


def operations_figure(cells: list[Cells]) -> ET.Element | None:
    """Draw the operations of each method as parts of a bar."""
    rows = [
        Bar(
            one.name,
            tuple(
                Part(f"{operation_label(name)}: {n} of {sum(one.counts.values())}", float(n), f"cn-{name}", str(n))
                for name, n in one.counts.items()
            ),
            f"{one.cells} cell" + "s" * (one.cells != 1),
        )
        for one in cells
    ]
    return bars(rows, "Operations of the cells of each method, by frequency", whole=True)


def summed_confusion(view: StudyView, method: Method, split: str) -> NDArray[np.int64] | None:
    """Sum the confusion matrix over the seeds; None without results, or if the runs have different classes."""
    runs = view.runs(method.key, split)
    if not runs or len({run.evaluation.classes for run in runs}) > 1:
        return None
    total: NDArray[np.int64] = np.sum([run.evaluation.confusion for run in runs], axis=0)
    return total


@dataclass(frozen=True)
class BuiltNatural:
    """Confusion of built and natural LCZ, as shares in per cent of the true kind."""

    built: tuple[float, float]
    natural: tuple[float, float]
    patches: tuple[int, int]


def built_natural(confusion: NDArray[np.int64], classes: tuple[str, ...]) -> BuiltNatural | None:
    """Sum the four blocks of the matrix; None for other classes than LCZ, or if a kind has no patches."""
    if classes != lcz.NAMES:
        return None
    at = lcz.BUILT
    sums = np.array(
        [
            [confusion[:at, :at].sum(), confusion[:at, at:].sum()],
            [confusion[at:, :at].sum(), confusion[at:, at:].sum()],
        ]
    )
    patches = sums.sum(axis=1)
    if not patches.all():
        return None
    (a, b), (c, d) = (100 * sums / patches[:, None]).tolist()
    return BuiltNatural((a, b), (c, d), (int(patches[0]), int(patches[1])))


def confusion_figure_of(view: StudyView, method: Method, split: str) -> ET.Element | None:
    """Draw the confusion matrix of a method on a split over all seeds, as in the paper's Fig. 2."""
    counts = summed_confusion(view, method, split)
    if counts is None or not counts.sum():
        return None
    return compact_confusion(counts, view.runs(method.key, split)[0].evaluation.classes, f"{method.name} on {split}")
