"""Differences over folds: the t interval is the textbook's, the bootstrap is the exact one of a plain enumeration."""

from __future__ import annotations

import itertools
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from compactnas.evaluation import folds
from compactnas.evaluation.folds import fold_difference


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.lists(st.integers(-400, 400).map(lambda n: n / 64), min_size=1, max_size=4), min_size=2, max_size=6),
)
def test_the_t_interval_is_that_of_the_means_of_the_folds(differences: list[list[float]]) -> None:
    found = fold_difference(differences)
    means = [statistics.fmean(fold) for fold in differences]
    assert found.mean == pytest.approx(statistics.fmean(means), abs=1e-12)
    assert found.deviation == pytest.approx(statistics.stdev(means), abs=1e-12)
    assert (found.folds, found.pairs) == (len(differences), sum(map(len, differences)))
    assert found.t is not None and found.bootstrap is not None
    if statistics.stdev(means) > 1e-9:
        exact = stats.ttest_1samp(means, 0).confidence_interval(0.95)
        assert found.t == pytest.approx((exact.low, exact.high), abs=1e-9)
    flat = list(itertools.chain(*differences))
    assert min(flat) - 1e-9 <= found.bootstrap[0] <= found.bootstrap[1] <= max(flat) + 1e-9
    assert found == fold_difference(differences)


def enumerated(differences: list[list[float]]) -> dict[float, float]:
    """Probability of each mean that the bootstrap can draw: all choices of folds, and of seeds in each."""
    means = [[statistics.fmean(drawn) for drawn in itertools.product(fold, repeat=len(fold))] for fold in differences]
    found: dict[float, float] = {}
    folds = len(differences)
    for chosen in itertools.product(range(folds), repeat=folds):
        for drawn in itertools.product(*(means[fold] for fold in chosen)):
            share = 1 / folds**folds / np.prod([len(means[fold]) for fold in chosen])
            key = round(statistics.fmean(drawn), 9)
            found[key] = found.get(key, 0.0) + float(share)
    return found


@pytest.mark.parametrize(
    "differences", [[[0.4, 1.0], [2.0, -0.5], [0.7, 0.1]], [[1.0], [2.0], [4.0], [8.0]], [[0.0, 1.0, 5.0], [2.0]]]
)
def test_the_bootstrap_draws_folds_and_then_seeds(differences: list[list[float]]) -> None:
    exact = enumerated(differences)
    assert sum(exact.values()) == pytest.approx(1)
    found = fold_difference(differences)
    assert found.bootstrap is not None
    low, high = found.bootstrap
    # The share below the lower end and above the upper end is 2.5 % but for steps and the noise of 10,000 draws.
    assert sum(share for value, share in exact.items() if value < low - 1e-6) <= 0.025 + 0.006
    assert sum(share for value, share in exact.items() if value <= low + 1e-6) >= 0.025 - 0.006
    assert sum(share for value, share in exact.items() if value > high + 1e-6) <= 0.025 + 0.006
    assert sum(share for value, share in exact.items() if value >= high - 1e-6) >= 0.025 - 0.006


def test_more_seeds_on_few_folds_do_not_narrow_the_interval() -> None:
    """Twelve equal trainings of a fold are one value, not twelve."""
    once = fold_difference([[0.5], [1.5], [2.5]])
    often = fold_difference([[0.5] * 12, [1.5] * 12, [2.5] * 12])
    assert once.t == often.t and once.mean == often.mean and (once.pairs, often.pairs) == (3, 36)


def test_the_t_interval_holds_the_truth_as_often_as_it_says_and_the_bootstrap_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folds, "DRAWS", 1000)  # enough for the ends of an interval
    rng, held = np.random.default_rng(0), np.zeros(2)
    trials = 400
    for _ in range(trials):
        places = rng.normal(0.3, 1.0, 5)
        found = fold_difference([list(place + rng.normal(0, 0.5, 3)) for place in places])
        assert found.t is not None and found.bootstrap is not None
        held += [low <= 0.3 <= high for low, high in (found.t, found.bootstrap)]
    assert 0.92 <= held[0] / trials <= 0.98
    assert held[1] / trials < 0.92


def test_one_fold_has_no_interval() -> None:
    found = fold_difference([[1.0, 3.0]])
    assert (found.mean, found.deviation, found.t, found.bootstrap) == (2.0, 0.0, None, None)
