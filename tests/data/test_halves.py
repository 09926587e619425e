"""D_T and D_V by group: no group on both sides, both sides of each class, and what is told without groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compactnas.data import ArraySource, Dataset, Facts, cut_halves, halves
from compactnas.errors import UserError


def data_of(groups: np.ndarray, labels: np.ndarray) -> Dataset:
    """Patches of one pixel, every third of which is not of the training part."""
    names = tuple(f"class {number}" for number in range(int(labels.max()) + 1))
    facts = Facts("made", ("a",), names, 1, labels.astype(np.int64), groups=groups)
    rows = np.arange(len(labels))
    parts = {"train": rows[rows % 3 > 0], "validation": rows[:0], "test": rows[rows % 3 == 0]}
    return Dataset(ArraySource(facts, np.zeros((len(rows), 1, 1, 1), np.float32)), parts, groups=groups)


@settings(max_examples=40, deadline=None)
@given(cities=st.integers(2, 12), seed=st.integers(0, 10**6))
def test_no_group_is_in_both_halves_and_every_class_is(cities: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = np.repeat([f"city {number}" for number in range(cities)], 60)
    labels = rng.integers(4, size=len(groups))
    data = data_of(groups, labels)
    first, second = cut_halves(data, "groups", seed)
    assert not set(groups[first]) & set(groups[second])
    np.testing.assert_array_equal(np.sort(np.concatenate([first, second])), data.parts["train"])
    assert (np.diff(first) > 0).all() and (np.diff(second) > 0).all()
    assert set(labels[first]) == set(labels[second]) == {0, 1, 2, 3}
    share = len(second) / len(data.parts["train"])
    assert abs(share - 0.5) <= 0.5 / cities + 0.15
    again = cut_halves(data, "groups", seed)
    assert all(map(np.array_equal, (first, second), again))


def test_at_random_they_are_what_they_were() -> None:
    data = data_of(np.repeat(["a", "b"], 30), np.arange(60) % 2)
    for found, before in zip(cut_halves(data, "random", 3), halves(data.parts["train"], 3), strict=True):
        np.testing.assert_array_equal(found, before)


def test_what_cannot_be_cut_by_group_is_told() -> None:
    data = data_of(np.repeat(["a", "b"], 30), np.arange(60) % 2)
    with pytest.raises(UserError, match=r"search\.halves: made has no groups \(polygons, cities\); leave the option o"):
        cut_halves(replace(data, groups=None), "groups", 0)
    with pytest.raises(UserError, match=r"search\.halves: all training patches are of one group, a; leave"):
        cut_halves(replace(data, groups=np.repeat(["a"], 60)), "groups", 0)
    with pytest.raises(UserError, match=r"search\.halves: the groups leave one class in one half"):
        cut_halves(data_of(np.repeat(["a", "b"], 30), np.repeat([0, 1], 30)), "groups", 0)
