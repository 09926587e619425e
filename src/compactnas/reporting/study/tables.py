"""Make the paper's tables: methods as columns, measures as rows, one table for each split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby

import torch

from compactnas.cost.counter import Cost, count
from compactnas.nn.registry import ModelSpec, build
from compactnas.reporting.study.paper import Printed, printed_for
from compactnas.reporting.study.seeds import SeedStats, standings
from compactnas.reporting.study.view import Method, StudyView, TrainingView

REFERENCE = "resnet110"
"""Baseline that the paper compares costs with."""


@dataclass(frozen=True)
class TableRow:
    """A measured row: title, meaning, value, decimals, 1 if larger is better, else -1, and the paper's figure."""

    title: str
    meaning: str
    value: Callable[[TrainingView], float]
    digits: int
    better: int
    printed: Callable[[Printed], str]


ROWS = (
    TableRow("OA %", "overall accuracy", lambda run: 100 * run.evaluation.measures.oa, 2, 1, lambda paper: paper.oa),
    TableRow(
        "AA %",
        "average accuracy: mean recall of the classes present",
        lambda run: 100 * run.evaluation.measures.aa,
        2,
        1,
        lambda paper: paper.aa,
    ),
    TableRow("Kappa", "Cohen's kappa", lambda run: run.evaluation.measures.kappa, 3, 1, lambda paper: paper.kappa),
    TableRow(
        "Size (M parameters)",
        "trained weights, in millions",
        lambda run: run.evaluation.parameters / 1e6,
        4,
        -1,
        lambda paper: paper.size,
    ),
    TableRow(
        "FLOPs (M MACs)",
        "multiply-accumulates of one patch, in millions",
        lambda run: run.evaluation.macs / 1e6,
        2,
        -1,
        lambda paper: paper.flops,
    ),
)
ACCURACIES = ROWS[:3]
KINDS = {"baseline": "built by hand", "given": "given", "searched": "searched", "random": "at random"}


@dataclass(frozen=True)
class Entry:
    """A figure of a table.

    Attributes:
        text: Mean over the seeds.
        spread: Standard deviation; empty if the values do not differ.
        best: Whether the mean is the best of its row.
        printed: Figure of the paper; empty if the paper has none.
    """

    text: str
    spread: str = ""
    best: bool = False
    printed: str = ""


@dataclass(frozen=True)
class Line:
    """A row of a table with its meaning."""

    title: str
    meaning: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class SplitTable:
    """The table of a split.

    Attributes:
        split: Name of the split.
        methods: Methods, one for each column.
        results: Rows from OA to n.
        reductions: Savings against ResNet-110; empty if its cost is unknown.
        places: Rank of each method in each measure, 1 for the best.
        printed: Whether the table also shows the paper's figures.
        notes: Notes that a reader needs to understand the table.
    """

    split: str
    methods: tuple[Method, ...]
    results: tuple[Line, ...]
    reductions: tuple[Line, ...]
    places: tuple[Line, ...]
    printed: bool
    notes: tuple[str, ...]

    @property
    def spans(self) -> tuple[tuple[str, int], ...]:
        """Headings above the columns, each with the number of its columns."""
        return tuple((KINDS[kind], len(list(group))) for kind, group in groupby(self.methods, lambda one: one.kind))

    @property
    def lines(self) -> tuple[Line, ...]:
        """All rows."""
        return self.results + self.reductions + self.places


def split_table(view: StudyView, split: str) -> SplitTable | None:
    """Make the table of a split from the jobs done so far; None without results."""
    methods = view.shown(split)
    if not methods:
        return None
    runs = [view.runs(method.key, split) for method in methods]
    where = next(one for one in view.splits if one.name == split)
    papers = printed_for(where, runs[0][0].evaluation)
    stats = {row.title: [SeedStats.of([row.value(run) for run in group]) for group in runs] for row in ROWS}
    results = [_measured(row, stats[row.title], [papers.get(method.key) for method in methods]) for row in ROWS]
    depths = [
        Entry(_depths(group), printed=paper.depth if (paper := papers.get(method.key)) else "")
        for method, group in zip(methods, runs, strict=True)
    ]
    results.append(Line("Block's depth", "cells in each block, as found", tuple(depths)))
    results.append(Line("n", "trainings, each with another seed", tuple(Entry(str(len(group))) for group in runs)))
    cost, trained = reference_cost(view)
    return SplitTable(
        split=split,
        methods=tuple(methods),
        results=tuple(results),
        reductions=_reductions(methods, stats, cost),
        places=tuple(_places(row, stats[row.title]) for row in ACCURACIES),
        printed=bool(papers),
        notes=_notes(view, runs, printed=bool(papers), trained=trained if cost else None),
    )


def reference_cost(view: StudyView) -> tuple[Cost | None, bool]:
    """Find the cost of ResNet-110 on this data, and whether it was trained here or is only computed."""
    for run in view.trainings:
        if run.method == REFERENCE:
            return Cost(run.evaluation.macs, run.evaluation.parameters), True
    if view.sizes is None:
        return None, False
    return _computed(*view.sizes), False


@cache
def _computed(bands: int, classes: int, patch_px: int) -> Cost:
    """Count the cost of ResNet-110; cached, because counting layer by layer takes a while."""
    with torch.device("meta"):
        network = build(ModelSpec(REFERENCE, bands, classes, patch_px))
    return count(network, bands, patch_px)


def _measured(row: TableRow, stats: Sequence[SeedStats], papers: Sequence[Printed | None]) -> Line:
    shown = [f"{spread.mean:.{row.digits}f}" for spread in stats]
    best = max(row.better * float(text) for text in shown)
    return Line(
        row.title,
        row.meaning,
        tuple(
            Entry(
                text=text,
                spread=f"{spread.deviation:.{row.digits}f}" if spread.varies else "",
                best=len(shown) > 1 and row.better * float(text) == best,
                printed=row.printed(paper) if paper else "",
            )
            for text, spread, paper in zip(shown, stats, papers, strict=True)
        ),
    )


def _depths(runs: Sequence[TrainingView]) -> str:
    """Write the depths of the blocks, each combination once; "NA" for a network without cells, as in the paper."""
    kinds = dict.fromkeys("-".join(map(str, run.evaluation.depths)) for run in runs if run.evaluation.depths)
    return " ".join(kinds) or "NA"


def _reductions(methods: Sequence[Method], stats: dict[str, list[SeedStats]], cost: Cost | None) -> tuple[Line, ...]:
    if cost is None:
        return ()
    lines = []
    for row, whole, what in ((ROWS[4], cost.macs, "MACs"), (ROWS[3], cost.parameters, "Parameters")):
        entries = [
            Entry("-" if method.key == REFERENCE else f"{100 * (1 - 1e6 * spread.mean / whole):.1f}")
            for method, spread in zip(methods, stats[row.title], strict=True)
        ]
        meaning = f"{what} saved against ResNet-110; negative if there are more"
        lines.append(Line(f"{what} saved %", meaning, tuple(entries)))
    return tuple(lines)


def _places(row: TableRow, stats: Sequence[SeedStats]) -> Line:
    measure = row.title.removesuffix(" %")
    found = standings([spread.mean for spread in stats])
    entries = tuple(Entry(str(place), best=place == 1 and len(found) > 1) for place in found)
    return Line(f"Rank by {measure}", f"rank by mean {measure}, 1 for the best", entries)


def _notes(
    view: StudyView, runs: Sequence[list[TrainingView]], *, printed: bool, trained: bool | None
) -> tuple[str, ...]:
    """Write the notes of a table. `trained`: whether ResNet-110 was trained here, None if its cost is unknown."""
    notes = [
        "Mean ± standard deviation (n - 1) over the seeds of the training; no deviation if the values are all the same "
        "or there is only one.",
        "Rows as in the paper, with correct units: its Size (MB) is millions of parameters and its FLOPs are "
        "multiply-accumulates (MACs) of one patch.",
    ]
    part = runs[0][0].evaluation.part
    if part != "test":
        notes.append(f"Measured on the {part} part.")
    if len({run.evaluation.n for group in runs for run in group}) > 1:
        notes.append("Not all networks were measured on the same patches.")
    few = [len(group) for group in runs]
    if min(few) < view.retrainings:
        notes.append(f"Not finished: n is the number of trainings so far, of {view.retrainings} for each network.")
    if trained is not None:
        notes.append(
            "Savings are against ResNet-110."
            if trained
            else "Savings are against ResNet-110, which was not trained here: its cost is computed."
        )
    if printed:
        notes.append(
            "Figures of the paper (Traoré et al., ESANN 2021) are means of 4 runs. Its column ResNet32 has the size "
            "and the FLOPs of ResNet-20 and is shown with it."
        )
    return tuple(notes)
