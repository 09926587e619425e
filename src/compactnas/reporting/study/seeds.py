"""Statistics over seeds: mean and deviation, standings, the Pareto front, and an exact test of paired differences."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

EXACT_UP_TO = 16
"""Largest number of pairs for which all 2^n choices of signs are tried."""
DRAWS = 1 << EXACT_UP_TO
"""Number of choices of signs that are drawn for more pairs."""


@dataclass(frozen=True)
class SeedStats:
    """Statistics of a measure over seeds.

    Attributes:
        mean: Mean of the values.
        deviation: Standard deviation (n - 1); 0 for a single value.
        n: Number of values.
        low: Smallest value.
        high: Largest value.
    """

    mean: float
    deviation: float
    n: int
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> SeedStats:
        """Summarise at least one value."""
        same = len(set(values)) == 1  # then mean and deviation are exact, without rounding
        return cls(
            mean=values[0] if same else statistics.fmean(values),
            deviation=0.0 if same else statistics.stdev(values),
            n=len(values),
            low=min(values),
            high=max(values),
        )

    @property
    def varies(self) -> bool:
        """Check whether the values differ."""
        return self.low < self.high

    @property
    def bar(self) -> tuple[float, float] | None:
        """Mean minus and plus the standard deviation; None if the values do not differ."""
        return (self.mean - self.deviation, self.mean + self.deviation) if self.deviation else None


def standings(values: Sequence[float]) -> list[int]:
    """Rank each value, 1 for the largest; equal values share the better rank."""
    return [1 + sum(other > value for other in values) for value in values]


@dataclass(frozen=True)
class Paired:
    """Comparison of two methods seed by seed.

    Attributes:
        n: Number of pairs.
        mean: Mean of the differences.
        deviation: Standard deviation of the differences (n - 1); 0 for a single pair.
        p: Two-sided p of the sign-flip test.
        exact: Whether all choices of signs were tried.
    """

    n: int
    mean: float
    deviation: float
    p: float
    exact: bool

    @property
    def least_p(self) -> float:
        """Smallest p that this number of pairs can have."""
        return least_p(self.n)


def least_p(n: int) -> float:
    """Compute the smallest two-sided p of n pairs: all differences have one sign, out of 2^n choices."""
    return min(1.0, 2.0 ** (1 - n))


def paired(differences: Sequence[float], seed: int = 0) -> Paired:
    """Run the sign-flip permutation test: for equal methods, each difference is as likely to have the other sign.

    p is the share of all 2^n choices of signs whose mean is at least as far from 0 as the observed one (Fisher 1935,
    The Design of Experiments, section 21). For more than `EXACT_UP_TO` pairs, `DRAWS` choices are drawn and the
    observed one is added.
    """
    d = np.asarray(differences, dtype=np.float64)
    n = len(d)
    assert n, "no pairs"
    exact = n <= EXACT_UP_TO
    if exact:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        drawn = np.random.default_rng(seed).integers(0, 2, (DRAWS, n))
        signs = np.vstack((np.ones(n), 1.0 - 2.0 * drawn))
    sums = np.abs(signs @ d)
    found = abs(float(d.sum()))
    p = float((sums >= found - 1e-9 * max(found, float(np.abs(d).sum()))).mean())
    return Paired(n, float(d.mean()), float(d.std(ddof=1)) if n > 1 else 0.0, p, exact)
