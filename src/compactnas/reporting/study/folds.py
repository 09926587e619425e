"""Summarise each method over the folds of a split, and compare methods in pairs of the same fold and seed."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from itertools import combinations

from compactnas.evaluation.folds import FoldDifference, fold_difference
from compactnas.reporting.study.seeds import Paired, paired
from compactnas.reporting.study.tables import ACCURACIES
from compactnas.reporting.study.view import Method, StudyView

ORDER = ("searched", "given", "random", "baseline")
"""Kinds of methods; a difference is that of the earlier kind minus the later one."""


@dataclass(frozen=True)
class FoldMean:
    """A method over the folds.

    Attributes:
        method: Method.
        folds: Number of folds with a training.
        trainings: Number of trainings.
        measures: Title of a measure, and its mean over the folds with the deviation of the folds' means.
    """

    method: Method
    folds: int
    trainings: int
    measures: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class FoldPair:
    """One method minus another, in points of OA, with the sign-flip test of the folds' means."""

    one: Method
    other: Method
    found: FoldDifference
    test: Paired


@dataclass(frozen=True)
class FoldResults:
    """Results of a split with folds: its name, the names of its folds, each method, and each pair of methods."""

    ground: str
    folds: tuple[str, ...]
    means: tuple[FoldMean, ...]
    pairs: tuple[FoldPair, ...]


def fold_results(view: StudyView) -> tuple[FoldResults, ...]:
    """Summarise each split with folds, as far as it is done; empty if no split has folds."""
    found = []
    for ground, folds in view.grounds:
        means = tuple(mean for method in view.methods if (mean := _mean(view, method, folds)) is not None)
        if not means:
            continue
        ranked = sorted((one.method for one in means), key=lambda method: ORDER.index(method.kind))
        pairs = (_pair(view, one, other, folds) for one, other in combinations(ranked, 2))
        found.append(FoldResults(ground, folds, means, tuple(pair for pair in pairs if pair is not None)))
    return tuple(found)


def _mean(view: StudyView, method: Method, folds: tuple[str, ...]) -> FoldMean | None:
    runs = [own for fold in folds if (own := view.runs(method.key, fold))]
    if not runs:
        return None
    measures = []
    for row in ACCURACIES:
        values = [statistics.fmean(row.value(run) for run in own) for own in runs]
        spread = f" ± {statistics.stdev(values):.{row.digits}f}" if len(values) > 1 else ""
        measures.append((row.title, f"{statistics.fmean(values):.{row.digits}f}{spread}"))
    return FoldMean(method, len(runs), sum(map(len, runs)), tuple(measures))


def _pair(view: StudyView, one: Method, other: Method, folds: tuple[str, ...]) -> FoldPair | None:
    """Compare two methods; None if they share no fold and seed."""
    differences = []
    for fold in folds:
        ours, theirs = ({run.seed: run.evaluation.measures.oa for run in view.runs(m.key, fold)} for m in (one, other))
        if shared := sorted(ours.keys() & theirs.keys()):
            differences.append([100 * (ours[seed] - theirs[seed]) for seed in shared])
    if not differences:
        return None
    test = paired([statistics.fmean(fold) for fold in differences])
    return FoldPair(one, other, fold_difference(differences), test)


def cells_of(pair: FoldPair) -> tuple[str, ...]:
    """Write the figures of a pair: difference, t interval, bootstrap interval, p, folds, and pairs."""
    found = pair.found
    intervals = ("-" if ends is None else f"{ends[0]:+.2f} to {ends[1]:+.2f}" for ends in (found.t, found.bootstrap))
    return (f"{found.mean:+.2f}", *intervals, f"{pair.test.p:.3g}", str(found.folds), str(found.pairs))


PAIR_COLUMNS = ("difference", "95 % t interval", "95 % bootstrap", "p", "folds", "pairs")
"""Headings of `cells_of`."""

FOLD_NOTE = (
    "Over folds, a value is the mean over the folds of the mean over the seeds, ± standard deviation (n - 1) of the "
    "folds. Differences are in points of OA between trainings on the same fold with the same seed. The t interval "
    "takes folds as the units, with one degree of freedom less than folds. The bootstrap draws folds and then seeds; "
    "with few folds it is too narrow, so rely on the t interval. p is that of the sign-flip test of the folds' means; "
    "with 5 folds it is never below 0.0625. No figure covers the overlap of the training parts, or is corrected for "
    "the number of comparisons."
)
