"""Differences between networks on held-out groups, with intervals over groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000
"""Number of bootstrap samples."""

LEAST_GROUPS = 5
"""Smallest number of groups that gives an interval."""

Rights = Mapping[str, tuple[int, int]]
"""Name of a group -> its number of patches, and how many of them a network predicts right."""


@dataclass(frozen=True)
class Difference:
    """Difference of two accuracies on the same groups.

    Attributes:
        mean: Difference of the accuracies over all patches.
        low: Lower end of the 95 % interval; None with fewer than five groups.
        high: Upper end of the interval.
        groups: Number of groups.
    """

    mean: float
    low: float | None
    high: float | None
    groups: int

    def __str__(self) -> str:
        points = f"{100 * self.mean:+.2f} points"
        if self.low is None or self.high is None:
            return f"{points} (no interval: {self.groups} group{'s' * (self.groups != 1)})"
        sure = "" if self.low > 0 or self.high < 0 else ", no evidence"
        return f"{points} ({100 * self.low:+.2f} to {100 * self.high:+.2f}, {self.groups} groups{sure})"

    def to_json(self) -> dict[str, Any]:
        """Difference as JSON values."""
        low, high = (None if end is None else round(end, 6) for end in (self.low, self.high))
        return {"mean": round(self.mean, 6), "low": low, "high": high, "groups": self.groups}


def difference(ours: Sequence[Rights], base: Sequence[Rights], *, draws: int = DRAWS, seed: int = 0) -> Difference:
    """Compare the mean accuracy of two sets of networks on the same groups.

    The interval is the middle 95 % of bootstrap samples. Each sample draws groups, because patches of one place
    resemble each other, and networks of each set with more than one, because other candidates could have been drawn.

    Args:
        ours: Counts of each network of the first set.
        base: Counts of each network of the second set.
        draws: Number of bootstrap samples.
        seed: Seed of the bootstrap samples.
    """
    names = sorted(ours[0])
    patches = np.array([ours[0][name][0] for name in names], np.float64)
    first, second = (_table(rights, names) for rights in (ours, base))
    total = patches.sum()
    mean = float((first.mean(0) - second.mean(0)).sum() / total)
    if len(names) < LEAST_GROUPS:
        return Difference(mean, None, None, len(names))
    rng = np.random.default_rng(seed)
    groups = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), draws).astype(np.float64)
    means = [_drawn(table, rng, draws) for table in (first, second)]
    drawn = (groups * (means[0] - means[1])).sum(1) / (groups @ patches)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Difference(mean, float(low), float(high), len(names))


def accuracy(rights: Rights) -> float:
    """Overall accuracy over all groups."""
    counts = np.array(list(rights.values()), np.int64)
    return float(counts[:, 1].sum() / counts[:, 0].sum())


def _table(rights: Sequence[Rights], names: Sequence[str]) -> NDArray[np.float64]:
    return np.array([[one[name][1] for name in names] for one in rights], np.float64)


def _drawn(table: NDArray[np.float64], rng: np.random.Generator, draws: int) -> NDArray[np.float64]:
    """Mean over the networks of each bootstrap sample, (draws, groups)."""
    if len(table) == 1:
        return np.repeat(table, draws, axis=0)
    often = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), draws)
    found: NDArray[np.float64] = often @ table / len(table)
    return found
