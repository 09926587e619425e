"""Laws of splits of whole groups: a fair share of each class, and as few changes as possible if a group drops out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from compactnas.config import DataConfig
from compactnas.data import Facts
from compactnas.data.footprints import Footprints
from compactnas.data.group_splits import GroupTable, fold_of_groups, hash_of, take_share
from compactnas.data.splits import divide, make_parts
from compactnas.errors import UserError

Made = tuple[np.ndarray, np.ndarray]
"""Group and class of each row."""


def rows_of(groups: list[tuple[int, int]]) -> Made:
    """Rows of polygons, given as (class, size)."""
    names = np.repeat([f"polygon {number}" for number in range(len(groups))], [size for _, size in groups])
    return names, np.repeat([label for label, _ in groups], [size for _, size in groups])


def cities(count: int, classes: int, seed: int) -> Made:
    """Rows of cities of unequal size, each with its own mixture of the classes."""
    random = np.random.default_rng(seed)
    sizes = random.integers(30, 400, count)
    labels = [random.choice(classes, size, p=random.dirichlet(np.full(classes, 0.5))) for size in sizes]
    return np.repeat([f"city {number}" for number in range(count)], sizes), np.concatenate(labels)


def facts_of(made: Made, places: Footprints | None = None, classes: int = 0) -> Facts:
    groups, labels = made
    names = tuple(f"class {number}" for number in range(classes or int(labels.max()) + 1))
    return Facts("made", ("a",), names, 8, labels.astype(np.int64), groups=groups, footprints=places)


def table_of(made: Made, seed: int) -> GroupTable:
    return GroupTable.count(made[0], made[1].astype(np.int64), seed)


POLYGONS = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 40)), min_size=2, max_size=40)
SEEDS = st.integers(0, 10**6)


@settings(max_examples=60, deadline=None)
@given(polygons=POLYGONS, fraction=st.floats(0.05, 0.95), seed=SEEDS)
def test_each_class_gives_its_share_of_whole_polygons(
    polygons: list[tuple[int, int]], fraction: float, seed: int
) -> None:
    groups, labels = rows_of(polygons)
    taken = take_share(table_of((groups, labels), seed), fraction)
    assert not set(groups[taken]) & set(groups[~taken])
    assert 0 < taken.sum() < len(taken)
    for label, count in Counter(label for label, _ in polygons).items():
        own = labels == label
        if count > 1:
            assert 0 < taken[own].sum() < own.sum(), "a class with two polygons is on both sides"
            largest = max(size for other, size in polygons if other == label)
            assert abs(taken[own].sum() - fraction * own.sum()) <= largest


@settings(max_examples=60, deadline=None)
@given(polygons=POLYGONS, folds=st.integers(2, 8), seed=SEEDS)
def test_each_fold_gets_its_share_of_whole_polygons(polygons: list[tuple[int, int]], folds: int, seed: int) -> None:
    groups, labels = rows_of(polygons)
    fold = fold_of_groups(table_of((groups, labels), seed), folds)
    assert fold.min() >= 0 and fold.max() < folds
    assert all(len(set(fold[groups == name])) == 1 for name in set(groups))
    for label, count in Counter(label for label, _ in polygons).items():
        assert len(set(fold[labels == label])) >= min(count, folds)


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 30), min_size=2, max_size=6),
    fraction=st.floats(0.05, 0.5),
    folds=st.integers(2, 8),
    seed=SEEDS,
    data=st.data(),
)
def test_if_a_polygon_of_the_usual_size_drops_out_hardly_another_one_moves(
    counts: list[int], fraction: float, folds: int, seed: int, data: st.DataObject
) -> None:
    groups, labels = rows_of([(label, 4) for label, count in enumerate(counts) for _ in range(count)])
    dropped = data.draw(st.sampled_from(sorted(set(groups))))
    left = groups != dropped
    assume(len(set(groups[left])) > 1 and max(counts) > 2)
    before, after = table_of((groups, labels), seed), table_of((groups[left], labels[left]), seed)
    own = labels[~left][0]
    for moved, most in (
        (take_share(before, fraction)[left] != take_share(after, fraction), 1),
        (fold_of_groups(before, folds)[left] != fold_of_groups(after, folds), folds - 1),
    ):
        assert set(labels[left][moved]) <= {own}, "no other class changes"
        if counts[own] >= 2 * folds:
            assert len(set(groups[left][moved])) <= most


def test_of_a_hundred_polygons_of_any_size_few_move_with_the_one_that_drops_out() -> None:
    random = np.random.default_rng(0)
    sizes = np.ceil(np.exp(random.normal(1.5, 1, 100))).astype(int)
    groups, labels = rows_of(list(zip(random.integers(0, 10, 100).tolist(), sizes.tolist(), strict=True)))
    whole = table_of((groups, labels), 3)
    shares, folds = [], []
    for name in np.unique(groups)[::3]:
        left = groups != name
        after = table_of((groups[left], labels[left]), 3)
        shares.append(len(set(groups[left][take_share(whole, 0.2)[left] != take_share(after, 0.2)])))
        folds.append(len(set(groups[left][fold_of_groups(whole, 5)[left] != fold_of_groups(after, 5)])))
    # Of a shuffled split, 32 % (2 * 0.2 * 0.8) and 80 % (4/5) would move.
    assert np.mean(shares) < 1.5 and max(shares) <= 6
    assert np.mean(folds) < 2.5 and max(folds) <= 8


def test_cities_are_spread_by_class_and_size() -> None:
    classes = 12
    for seed in range(5):
        groups, labels = cities(25, classes, seed)
        table = table_of((groups, labels), seed)
        taken, fold = take_share(table, 0.2), fold_of_groups(table, 5)
        # A cut of shuffled cities, as a plain reference.
        names, sizes = np.unique(groups, return_counts=True)
        order = np.random.default_rng(seed).permutation(len(names))
        shuffled = np.isin(groups, names[order[: 1 + np.argmin(abs(np.cumsum(sizes[order]) / len(groups) - 0.2))]])
        totals = np.bincount(labels, minlength=classes)
        ours, theirs = (
            abs(np.bincount(labels[rows], minlength=classes) / totals - 0.2).mean() for rows in (taken, shuffled)
        )
        assert ours < theirs and 0.13 < taken.mean() < 0.27
        assert all(set(labels[rows]) == set(range(classes)) for rows in (taken, ~taken))
        assert np.ptp(np.bincount(fold, minlength=5)) < 0.07 * len(fold)
        assert all(len(set(labels[fold != number])) == classes for number in range(5))


def test_a_part_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    made = rows_of([(label, 3) for label in range(4) for _ in range(10)])
    first, second = (take_share(table_of(made, seed), 0.3) for seed in (0, 1))
    assert 0.1 < (first != second).mean() < 0.8
    order = np.random.default_rng(0).permutation(len(made[0]))
    again = take_share(table_of((made[0][order], made[1][order]), 0), 0.3)
    np.testing.assert_array_equal(again, first[order])


def test_the_hash_is_the_same_on_every_machine() -> None:
    assert hash_of(0, "polygon 1") == 14533468769982251217
    assert hash_of(0, "a", "b") != hash_of(0, "a b")


@pytest.mark.parametrize("split", ["group", "fold"])
def test_validation_takes_whole_polygons_of_each_class_too(split: str) -> None:
    facts = facts_of(rows_of([(label, 4) for label in range(5) for _ in range(10)]))
    parts, warnings = make_parts(facts, DataConfig("x", split=split, validation_fraction=0.2))  # type: ignore[arg-type]
    assert warnings == () and facts.groups is not None
    for part, polygons in (("test", 10), ("validation", 10), ("train", 30)):
        assert len(set(facts.groups[parts[part]])) == polygons
        assert set(facts.labels[parts[part]]) == set(range(5))


def test_warnings_name_classes_that_cannot_be_in_both_parts_and_a_share_that_is_far_off() -> None:
    facts = facts_of(rows_of([(0, 4), (0, 4), (1, 4), (1, 4), (2, 4)]))
    _, warnings = make_parts(facts, DataConfig("x", split="group", test_fraction=0.2))
    assert warnings == (
        "the test part has no patch of 1 of 3 classes: class 2 (one group, which cannot be in two parts)",
        "the test part has 40% of the patches instead of 20%: groups stay whole, and each class with two groups or "
        "more has one there",
    )


# What to do instead


def side_by_side(polygons: int, step: float = 100.0, patch: float = 320.0) -> Facts:
    """A patch of each of two neighbouring places in each polygon, in a row from west to east."""
    left = 500_000 + step * np.arange(2 * polygons)
    bounds = np.column_stack((left, np.full_like(left, 0.0), left + patch, np.full_like(left, patch)))
    made = rows_of([(number % 2, 2) for number in range(polygons)])
    return facts_of(made, Footprints(np.full(len(left), 32633), bounds))


def test_overlapping_polygons_are_warned_of_with_the_split_that_keeps_them_apart() -> None:
    facts = side_by_side(200)
    _, (warning,) = make_parts(facts, DataConfig("x", split="group"))
    assert "test patches overlap a training patch" in warning
    remedy = "`--data.split block` keeps them apart"
    assert remedy in warning
    parts, notes = make_parts(facts, DataConfig("x", split="block"))
    assert all("overlap the test part and are left out" in note for note in notes) and len(parts["test"])
    # On a small piece of ground, the usual squares would be too large.
    small = side_by_side(40)
    _, (*_, warning) = make_parts(small, DataConfig("x", split="fold", folds=4))
    assert "`--data.split block --data.block-m 1700` keeps them apart" in warning
    assert make_parts(small, DataConfig("x", split="block", block_m=1700.0))[0]["test"].size


def test_patches_apart_are_not_warned_of() -> None:
    assert make_parts(side_by_side(200, step=400.0), DataConfig("x", split="group"))[1] == ()


@pytest.mark.parametrize("split", ["group", "fold"])
@pytest.mark.parametrize(
    ("groups", "placed", "message"),
    [
        (0, True, "use `--data.split block` or `random`"),
        (0, False, "use `--data.split random`"),
        (1, True, "one group, polygon 0, cannot be cut into two parts; use `--data.split block` or `random`"),
        (1, False, "one group, polygon 0, cannot be cut into two parts; use `--data.split random`"),
    ],
)
def test_without_groups_to_split_the_error_names_a_split_that_fits(
    split: str, groups: int, placed: bool, message: str
) -> None:
    facts = side_by_side(8)
    one = np.full(len(facts.labels), "polygon 0")
    facts = replace(facts, groups=one if groups else None, footprints=facts.footprints if placed else None)
    with pytest.raises(UserError) as caught:
        make_parts(facts, DataConfig("x", split=split))  # type: ignore[arg-type]
    assert str(caught.value).endswith(message)


def test_one_square_names_a_smaller_one() -> None:
    facts = side_by_side(16, step=100.0)
    with pytest.raises(UserError, match=r"data\.block_m: one square of 1e\+06 m holds all patches; .*block-m 690`"):
        make_parts(facts, DataConfig("x", split="block", block_m=1e6))


def test_one_polygon_a_class_names_another_split() -> None:
    facts = facts_of(rows_of([(0, 4), (1, 4), (2, 4)]))
    with pytest.raises(UserError, match=r"part of `group` has only one class, class .; use `--data\.split random`"):
        make_parts(facts, DataConfig("x", split="group", test_fraction=0.2))


def test_a_division_knows_the_units_of_its_split() -> None:
    facts = side_by_side(200)
    assert divide(facts, DataConfig("x", split="random")).groups is facts.groups
    squares = divide(facts, DataConfig("x", split="block", block_m=4000.0)).groups
    assert squares is not None and len(set(squares)) == 11 and squares[0] == "32633 125 0"
