"""Intervals from whole groups, against drawing the groups by hand, and counts by group as files keep them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compactnas.evaluation.bootstrap import MEASURED, UnitCounts, intervals_of
from compactnas.evaluation.groups import SEED, GroupCounts
from compactnas.evaluation.metrics import confusion_measures


def counted(groups: list[str], true: list[int], predicted: list[int], classes: int = 3, **more: Any) -> GroupCounts:
    return GroupCounts.count(np.array(groups), np.array(true), np.array(predicted), classes=classes, lcz=False, **more)


def test_two_groups_one_right_and_one_wrong() -> None:
    """OA is 0, 1/2 or 1, by 1/4, 1/2 and 1/4, so that both ends lie in the central 95 %."""
    found = counted(["a"] * 4 + ["b"] * 4, [0] * 4 + [1] * 4, [0] * 8)
    assert (found.names, found.patches, found.right) == (("a", "b"), (4, 4), (4, 0))
    assert found.intervals["oa"] == (0.0, 1.0) and found.label == "2 groups"


def test_groups_that_are_all_alike_have_no_spread() -> None:
    found = counted(["a", "b", "c"] * 4, [0, 0, 0] * 2 + [1, 1, 1] * 2, [0, 0, 0] * 4)
    assert found.intervals["oa"] == (0.5, 0.5) and found.intervals["macro_f1"] == (1 / 3, 1 / 3)
    assert "oa_weighted" not in found.intervals, "other classes than LCZ have no weighted accuracy"


def test_one_group_has_no_interval() -> None:
    found = counted(["a"] * 3, [0, 1, 2], [0, 1, 1], unit="block")
    assert found.intervals == {} and found.label == "1 block" and found.right == (2,)


@settings(max_examples=20, deadline=None)
@given(units=st.integers(2, 6), classes=st.integers(2, 4), seed=st.integers(0, 10**6))
def test_intervals_are_those_of_drawing_groups_by_hand(units: int, classes: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    confusions = random.integers(0, 5, (units, classes, classes)) + np.eye(classes, dtype=np.int64)
    generator, drawn = np.random.default_rng(7), []
    for _ in range(60):
        often = generator.multinomial(units, np.full(units, 1 / units))
        drawn.append(sum(n * confusion for n, confusion in zip(often, confusions, strict=True)))
    found = intervals_of(UnitCounts.of(confusions), 60, np.random.default_rng(7), lcz=False)
    for name in ("oa", "aa", "kappa", "macro_f1"):
        values = [getattr(confusion_measures(one, lcz=False), name) for one in drawn]
        assert found[name] == pytest.approx(tuple(np.percentile(values, (2.5, 97.5))))


def test_counting_patches_gives_the_counts_of_confusion_matrices() -> None:
    random = np.random.default_rng(0)
    unit, true, predicted = (random.integers(0, top, 500) for top in (7, 5, 5))
    confusions = np.zeros((7, 5, 5), np.int64)
    np.add.at(confusions, (unit, true, predicted), 1)
    one, other = UnitCounts.of(confusions), UnitCounts.count_patches(unit, true, predicted, 5)
    for name in ("unit", "cell", "count", "units", "classes"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_many_groups_take_little_memory_and_give_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = UnitCounts.of(np.random.default_rng(0).integers(0, 4, (30, 3, 3)))
    whole = intervals_of(counts, 40, np.random.default_rng(SEED), lcz=False)
    monkeypatch.setattr("compactnas.evaluation.bootstrap.MOST_DRAWN", 31)  # one sample at a time
    assert intervals_of(counts, 40, np.random.default_rng(SEED), lcz=False) == whole


def test_local_climate_zones_have_their_measures_and_classes_on_request() -> None:
    confusions = np.random.default_rng(1).integers(0, 3, (9, 17, 17))
    found = intervals_of(UnitCounts.of(confusions), 20, np.random.default_rng(0), lcz=True, each_class=True)
    assert set(found) == {*MEASURED, *(f"f1_{number}" for number in range(1, 18))}


def test_counts_survive_a_file() -> None:
    found = counted(["a", "a", "b"], [0, 1, 2], [0, 1, 1])
    assert GroupCounts.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    "change",
    [
        {"right": [3, 0]},
        {"right": [-1, 0]},
        {"names": ["a"]},
        {"intervals_95": {"oa": [0.1]}},
        {"intervals_95": {"oa": [0.1, float("nan")]}},
        {"intervals_95": 3},
        {"draws": None},
    ],
)
def test_counts_of_a_damaged_file_are_refused(change: dict[str, Any]) -> None:
    raw = counted(["a", "a", "b"], [0, 1, 2], [0, 1, 1]).to_json() | change
    with pytest.raises((AttributeError, TypeError, ValueError)):
        GroupCounts.from_json(raw)
