"""Differences of two methods in pairs of runs, with their t intervals, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from compactnas.evaluation.folds import FoldDifference, fold_difference

Values = Mapping[int, float]
"""Value of each run of a method, by the number that pairs it with the runs of other methods."""


def difference(one: Values, other: Values) -> FoldDifference | None:
    """Compare two methods by the runs that both have; None for fewer than two pairs."""
    both = sorted(one.keys() & other.keys())
    return fold_difference([[one[number] - other[number]] for number in both]) if len(both) > 1 else None


def difference_rows(values: Mapping[str, Values], compared: Iterable[tuple[str, str]]) -> list[str]:
    """Make a table of differences; one with fewer than two pairs has no row."""
    rows = ["| difference | pairs | points | 95 % interval |", "|---|---|---|---|"]
    for one, other in compared:
        found = difference(values.get(one, {}), values.get(other, {}))
        if found is not None and found.t is not None:
            low, high = found.t
            rows.append(f"| {one} minus {other} | {found.pairs} | {found.mean:+.2f} | {low:+.2f} to {high:+.2f} |")
    return rows
