"""Choose the method that is shown, and compare searched methods with the others, seed by seed."""

from __future__ import annotations

from dataclasses import dataclass

from compactnas.reporting.study.seeds import Paired, SeedStats, paired
from compactnas.reporting.study.view import Kind, Method, StudyView


def mean_oa(view: StudyView, method: Method, split: str) -> SeedStats | None:
    """OA in per cent over the seeds; None where nothing was trained."""
    runs = view.runs(method.key, split)
    return SeedStats.of([100 * run.evaluation.measures.oa for run in runs]) if runs else None


def best_method(view: StudyView, split: str, kind: Kind) -> Method | None:
    """The method of a kind with the highest mean OA on a split; of equals the one with the fewest MACs."""
    found = [
        (-spread.mean, min(run.evaluation.macs for run in view.runs(method.key, split)), place, method)
        for place, method in enumerate(view.methods)
        if method.kind == kind and (spread := mean_oa(view, method, split)) is not None
    ]
    return min(found)[3] if found else None


def chosen_method(view: StudyView) -> tuple[Method, str] | None:
    """The method whose confusion is shown, with the split that decided: the first on which a searched one is done."""
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
        method: the one.
        others: the comparison with each reference, None with itself or where no seed is shared.
    """

    method: Method
    others: tuple[Paired | None, ...]


@dataclass(frozen=True)
class Comparisons:
    """All searched methods of a split against all references: baselines, given networks, S, those at random."""

    split: str
    references: tuple[Method, ...]
    rows: tuple[Comparison, ...]


def comparisons(view: StudyView, split: str) -> Comparisons | None:
    """OA of searched methods less OA of the others, paired by seed; None where there is no pair."""
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
