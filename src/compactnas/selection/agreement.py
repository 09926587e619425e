"""Agreement of two rankings of the same candidates: Kendall's tau, and whether chance explains it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 2000
"""Default number of bootstrap samples of the candidates."""

LEAST = 3
"""Smallest number of candidates that gives an interval."""


@dataclass(frozen=True)
class RankAgreement:
    """Agreement of two rankings.

    Attributes:
        tau: Kendall's tau-b, 1 for the same order and -1 for the reverse; NaN if a ranking has the same value for all
            candidates.
        low: Lower end of the 95 % interval.
        high: Upper end of the 95 % interval.
        n: Number of candidates.
    """

    tau: float
    low: float
    high: float
    n: int

    @property
    def evidence(self) -> bool:
        """Check whether the interval excludes 0."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        if not np.isfinite(self.low):
            return f"tau {self.tau:+.2f}, no evidence"
        return f"tau {self.tau:+.2f} ({self.low:+.2f} to {self.high:+.2f})" + ", no evidence" * (not self.evidence)

    def to_json(self) -> dict[str, Any]:
        """Convert the figures to JSON values, null if undefined, and add the verdict in words."""
        figures = {name: getattr(self, name) for name in ("tau", "low", "high")}
        rounded = {name: round(value, 4) if np.isfinite(value) else None for name, value in figures.items()}
        return rounded | {"n": self.n, "verdict": "evidence" if self.evidence else "no evidence"}


def kendall_tau(a: ArrayLike, b: ArrayLike, *, draws: int = DRAWS, seed: int = 0) -> RankAgreement:
    """Compute Kendall's tau-b of two rankings, with the middle 95 % over bootstrap samples of the candidates.

    Tau-b is the number of pairs in the same order minus the number in reverse order, divided by the geometric mean of
    the numbers of untied pairs of each ranking (Kendall 1945). A candidate that is drawn twice is tied with itself.
    Samples in which a ranking has only ties are left out.

    Args:
        a: Scores of the candidates in one ranking.
        b: Scores of the same candidates, in the same order, in the other ranking.
        draws: Number of bootstrap samples.
        seed: Seed of the bootstrap samples.
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert first.ndim == 1 and first.shape == second.shape
    n = len(first)
    orders = [np.sign(values[:, None] - values[None]) for values in (first, second)]
    every = np.ones((1, n))
    tau = float(_tau(orders, every)[0])
    if n < LEAST or not np.isfinite(tau):
        return RankAgreement(tau, float("nan"), float("nan"), n)
    often = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)
    taus = _tau(orders, often)
    low, high = np.percentile(taus[np.isfinite(taus)], (2.5, 97.5))
    return RankAgreement(tau, float(low), float(high), n)


def _tau(orders: Sequence[NDArray[np.float64]], often: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute tau-b of samples; `often` counts the draws of each candidate, (samples, candidates)."""
    a, b = orders
    both, of_a, of_b = (np.einsum("di,ij,dj->d", often, pairs, often, optimize=True) for pairs in (a * b, a * a, b * b))
    with np.errstate(divide="ignore", invalid="ignore"):
        tau: NDArray[np.float64] = both / np.sqrt(of_a * of_b)
    return tau


def agreements(scores: Mapping[str, Sequence[float]], *, draws: int = DRAWS, seed: int = 0) -> list[dict[str, Any]]:
    """Compute the agreement of each pair of rankings, as JSON values.

    Args:
        scores: Scores of each ranking, one number for each candidate.
        draws: Number of bootstrap samples.
        seed: Seed of the bootstrap samples, which are the same for each pair.
    """
    return [
        {"a": a, "b": b} | kendall_tau(scores[a], scores[b], draws=draws, seed=seed).to_json()
        for a, b in combinations(scores, 2)
    ]
