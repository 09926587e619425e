"""Choose the methods to highlight, and compare searched methods with the others, seed by seed."""

from __future__ import annotations

from dataclasses import dataclass

from compactnas.reporting.study.seeds import Paired, SeedStats, paired
from compactnas.reporting.study.view import Kind, Method, StudyView


def mean_oa(view: StudyView, method: Method, split: str) -> SeedStats | None:
    """Summarise the OA in per cent over the seeds; None if nothing was trained."""
    runs = view.runs(method.key, split)
    return SeedStats.of([100 * run.evaluation.measures.oa for run in runs]) if runs else None


def best_method(view: StudyView, split: str, kind: Kind) -> Method | None:
    """Find the method of a kind with the highest mean OA on a split; of equal ones the one with the fewest MACs."""
    found = [
        (-spread.mean, min(run.evaluation.macs for run in view.runs(method.key, split)), place, method)
        for place, method in enumerate(view.methods)
        if method.kind == kind and (spread := mean_oa(view, method, split)) is not None
    ]
    return min(found)[3] if found else None


def chosen_method(view: StudyView) -> tuple[Method, str] | None:
    """Choose the method whose confusion matrix is shown, with the split that decides: the first one with results."""
    kinds: tuple[Kind, ...] = ("searched", "random", "given", "baseline")
    for split in view.splits:
        for kind in kinds:
            if (method := best_method(view, split.name, kind)) is not None:
                return method, split.name
    return None


@dataclass(frozen=True)
class Comparison:
    """A method against others, on one split.

    Attributes:
        method: Searched method.
        others: Comparison with each reference; None with itself, or if no seed is shared.
    """

    method: Method
    others: tuple[Paired | None, ...]


@dataclass(frozen=True)
class Comparisons:
    """Comparisons of all searched methods of a split with baselines, given networks, S and random methods."""

    split: str
    references: tuple[Method, ...]
    rows: tuple[Comparison, ...]


def comparisons(view: StudyView, split: str) -> Comparisons | None:
    """Compare the OA of searched methods with that of the others, paired by seed; None if there is no pair."""
    shown = view.shown(split)
    searched = [method for method in shown if method.kind == "searched"]
    plain = [method for method in searched if method.key == "S" and len(searched) > 1]
    references = (
        [m for m in shown if m.kind in ("baseline", "given")] + plain + [m for m in shown if m.kind == "random"]
    )
    rows = [Comparison(method, tuple(_pair(view, split, method, other) for other in references)) for method in searched]
    rows = [row for row in rows if any(row.others)]
    return Comparisons(split, tuple(references), tuple(rows)) if rows else None


def _pair(view: StudyView, split: str, method: Method, other: Method) -> Paired | None:
    if method == other:
        return None
    ours, theirs = ({run.seed: run.evaluation for run in view.runs(m.key, split)} for m in (method, other))
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        return None
    return paired([100 * (ours[seed].measures.oa - theirs[seed].measures.oa) for seed in seeds])
