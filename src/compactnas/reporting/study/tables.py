"""The paper's tables: methods as columns, measures as rows, one table a split."""

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
"""The network that the paper compares costs with."""


@dataclass(frozen=True)
class TableRow:
    """A measured row: title, meaning, factor, decimals, which end is the better one, and the paper's figure."""

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
        text: the mean over seeds.
        spread: the standard deviation; empty where the values do not differ.
        best: whether its mean is the best of its row.
        printed: the paper's figure, empty if the paper has none.
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
        split: its name.
        methods: the columns.
        results: OA to n.
        reductions: against ResNet-110; empty where its cost is not known.
        places: Standing of each method in each measure, 1 for the best.
        printed: whether the paper's figures stand beside.
        notes: what must be known to read it.
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
        """Headings above the columns, each with how many it spans."""
        return tuple((KINDS[kind], len(list(group))) for kind, group in groupby(self.methods, lambda one: one.kind))

    @property
    def lines(self) -> tuple[Line, ...]:
        """All rows."""
        return self.results + self.reductions + self.places


def split_table(view: StudyView, split: str) -> SplitTable | None:
    """The table of a split, of what is done so far; None if nothing is."""
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
    """Cost of ResNet-110 on this data, and whether it was trained here or is only computed."""
    for run in view.trainings:
        if run.method == REFERENCE:
            return Cost(run.evaluation.macs, run.evaluation.parameters), True
    if view.sizes is None:
        return None, False
    return _computed(*view.sizes), False


@cache
def _computed(bands: int, classes: int, patch_px: int) -> Cost:
    """Cost of ResNet-110, which is counted layer by layer and takes a while."""
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
    """Depths of the blocks, each kind once; "NA", as the paper has it, for a network without cells."""
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
        meaning = f"how many fewer {what} than ResNet-110; below 0 where there are more"
        lines.append(Line(f"{what} saved %", meaning, tuple(entries)))
    return tuple(lines)


def _places(row: TableRow, stats: Sequence[SeedStats]) -> Line:
    measure = row.title.removesuffix(" %")
    found = standings([spread.mean for spread in stats])
    entries = tuple(Entry(str(place), best=place == 1 and len(found) > 1) for place in found)
    return Line(f"Rank by {measure}", f"place by mean {measure}, 1 for the best", entries)


def _notes(
    view: StudyView, runs: Sequence[list[TrainingView]], *, printed: bool, trained: bool | None
) -> tuple[str, ...]:
    """`trained` says whether ResNet-110 was, None where its cost is not known."""
    notes = [
        "Mean ± standard deviation (n - 1) over the seeds of the training; no deviation where the values are all the "
        "same or there is one.",
        "Rows as in the paper, with their units said: its Size (MB) is millions of parameters and its FLOPs are "
        "multiply-accumulates (MACs) of one patch.",
    ]
    part = runs[0][0].evaluation.part
    if part != "test":
        notes.append(f"Measured on the {part} part.")
    if len({run.evaluation.n for group in runs for run in group}) > 1:
        notes.append("Not all were measured on the same patches.")
    few = [len(group) for group in runs]
    if min(few) < view.retrainings:
        notes.append(f"Not finished: each network is to be trained {view.retrainings} times; n says how often it was.")
    if trained is not None:
        notes.append(
            "Saved is against ResNet-110."
            if trained
            else "Saved is against ResNet-110, which was not trained here: its cost is computed."
        )
    if printed:
        notes.append(
            "Figures of the paper (Traoré et al., ESANN 2021) are means of 4 runs. Its column ResNet32 has the size "
            "and the FLOPs of ResNet-20 and stands with it."
        )
    return tuple(notes)
