"""Differences between two methods over folds of places, with intervals.

Trainings on one fold share their test places, so folds are the units, not trainings: five folds with three seeds each
are five values, not fifteen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compactnas.evaluation.bootstrap import Interval

LEVEL = 0.95
DRAWS = 10_000
"""Number of bootstrap samples."""


@dataclass(frozen=True)
class FoldDifference:
    """Mean difference over folds.

    Attributes:
        folds: Number of folds with a pair.
        pairs: Number of pairs of trainings with the same fold and seed.
        mean: Mean over the folds of the mean over the seeds.
        deviation: Standard deviation (n - 1) of the folds' means; 0 for a single fold.
        t: 95 % t interval with one degree of freedom less than folds; None for a single fold.
        bootstrap: Central 95 % of bootstrap samples that draw folds and, in each one, seeds; None for a single fold.
    """

    folds: int
    pairs: int
    mean: float
    deviation: float
    t: Interval | None
    bootstrap: Interval | None


def fold_difference(differences: Sequence[Sequence[float]], seed: int = 0) -> FoldDifference:
    """Summarise the differences of each fold by seed.

    The t interval treats the means of the folds as independent. It does not know that training parts overlap, which no
    interval from one set of folds can (Bengio and Grandvalet 2004, JMLR 5). With few folds the bootstrap is too
    narrow: it draws from the values that are there, so its spread is smaller by the factor sqrt((folds - 1) / folds).

    Args:
        differences: For each fold with a pair, the differences of its seeds.
        seed: Random seed of the bootstrap.
    """
    from scipy import stats  # imported here: takes 0.5 s

    assert differences and all(differences), "each fold needs a pair"
    means = np.array([float(np.mean(fold)) for fold in differences])
    folds, mean = len(means), float(means.mean())
    pairs = sum(map(len, differences))
    if folds == 1:
        return FoldDifference(1, pairs, mean, 0.0, None, None)
    deviation = float(means.std(ddof=1))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, folds - 1)) * deviation / folds**0.5
    rng = np.random.default_rng(seed)
    drawn = np.stack([_means_of_draws(fold, (DRAWS, folds), rng) for fold in differences])  # (fold, draw, place)
    taken = rng.integers(folds, size=(DRAWS, folds))
    samples = np.take_along_axis(drawn, taken[None], 0)[0].mean(axis=1)
    low, high = np.percentile(samples, (50 * (1 - LEVEL), 50 * (1 + LEVEL)))
    return FoldDifference(folds, pairs, mean, deviation, (mean - reach, mean + reach), (float(low), float(high)))


def _means_of_draws(
    values: Sequence[float], shape: tuple[int, int], rng: np.random.Generator
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Draw as many seeds as there are, with replacement, again and again; return their means."""
    own = np.asarray(values, np.float64)
    found: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = own[
        rng.integers(len(own), size=(*shape, len(own)))
    ].mean(axis=-1)
    return found
