"""Differences on held-out groups: closed forms of the mean, and intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest

from compactnas.finding.worth import LEAST_GROUPS, accuracy, difference


def counts(rights: list[int], patches: int = 100) -> dict[str, tuple[int, int]]:
    return {f"g{number}": (patches, right) for number, right in enumerate(rights)}


def test_the_mean_is_over_patches_and_networks() -> None:
    ours = [counts([80, 70, 60, 90, 50]), counts([60, 50, 60, 70, 50])]
    base = [counts([40, 40, 40, 40, 40])]
    found = difference(ours, base)
    assert found.mean == pytest.approx((350 + 290) / 2 / 500 - 200 / 500)
    assert found.low is not None and found.high is not None and 0 < found.low < found.mean < found.high
    assert accuracy(ours[0]) == pytest.approx(350 / 500)


def test_a_difference_that_is_the_same_everywhere_has_no_width() -> None:
    found = difference([counts([60, 50, 40, 30, 20])], [counts([50, 40, 30, 20, 10])])
    assert (found.low, found.high) == pytest.approx((0.1, 0.1))
    assert str(found) == "+10.00 points (+10.00 to +10.00, 5 groups)"


def test_few_groups_have_no_interval() -> None:
    few = LEAST_GROUPS - 1
    found = difference([counts([60] * few)], [counts([50] * few)])
    assert found.low is None and str(found) == "+10.00 points (no interval: 4 groups)"
    assert found.to_json() == {"mean": 0.1, "low": None, "high": None, "groups": 4}


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng, covered, tries = np.random.default_rng(0), 0, 150
    for number in range(tries):
        gains = rng.normal(5, 8, 25)  # the truth is 5 points, with a spread over groups
        base = rng.integers(30, 60, 25)
        ours = np.clip(np.round(base + gains), 0, 100).astype(int)
        found = difference([counts(ours.tolist())], [counts(base.tolist())], draws=400, seed=number)
        assert found.low is not None and found.high is not None
        covered += found.low <= 0.05 <= found.high
    assert 0.87 <= covered / tries <= 0.99


def test_no_evidence_is_said() -> None:
    found = difference([counts([60, 40, 60, 40, 50, 50])], [counts([50] * 6)])
    assert str(found).endswith("6 groups, no evidence)")
