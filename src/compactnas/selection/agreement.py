"""Agreement of two rankings of the same candidates: Kendall's tau, and whether chance explains it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 2000
"""Bootstrap samples of the candidates, by default."""

LEAST = 3
"""Candidates below which there is nothing to draw."""


@dataclass(frozen=True)
class RankAgreement:
    """Of two rankings.

    Attributes:
        tau: Kendall's tau-b, 1 for the same order and -1 for the reverse; not a number where a ranking has one value
            for all candidates.
        low: lower end of the 95 % interval.
        high: upper end.
        n: candidates.
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
        """The figures as JSON values, null if undefined, and the verdict in words."""
        figures = {name: getattr(self, name) for name in ("tau", "low", "high")}
        rounded = {name: round(value, 4) if np.isfinite(value) else None for name, value in figures.items()}
        return rounded | {"n": self.n, "verdict": "evidence" if self.evidence else "no evidence"}


def kendall_tau(a: ArrayLike, b: ArrayLike, *, draws: int = DRAWS, seed: int = 0) -> RankAgreement:
    """Kendall's tau-b of two rankings, with the middle 95 % of it over bootstrap samples of the candidates.

    The pairs in the same order less those in the reverse, over the geometric mean of the numbers of pairs that each
    ranking tells apart (Kendall 1945). In a sample, a candidate that is drawn twice is tied with itself; samples in
    which a ranking tells no pair apart are left out.

    Args:
        a: a number for each candidate, the same order of candidates as in `b`.
        b: the other ranking's.
        draws: bootstrap samples.
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
    """Tau-b of samples in which each candidate is drawn so often, (samples, candidates)."""
    a, b = orders
    both, of_a, of_b = (np.einsum("di,ij,dj->d", often, pairs, often, optimize=True) for pairs in (a * b, a * a, b * b))
    with np.errstate(divide="ignore", invalid="ignore"):
        tau: NDArray[np.float64] = both / np.sqrt(of_a * of_b)
    return tau


def agreements(scores: Mapping[str, Sequence[float]], *, draws: int = DRAWS, seed: int = 0) -> list[dict[str, Any]]:
    """Of each pair of rankings, as JSON values.

    Args:
        scores: Scores of each ranking, one number for each candidate.
        draws: bootstrap samples.
        seed: Seed of the bootstrap samples, which are the same for each pair.
    """
    return [
        {"a": a, "b": b} | kendall_tau(scores[a], scores[b], draws=draws, seed=seed).to_json()
        for a, b in combinations(scores, 2)
    ]
