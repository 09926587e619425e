"""The measures against a published matrix, against laws, and against other people's code."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compactnas.data import Facts
from compactnas.errors import UserError
from compactnas.evaluation.evaluate import confusion_of
from compactnas.evaluation.metrics import class_measures, confusion_measures
from compactnas.lcz import BARE_ROCK, BUILT

Confusion = NDArray[np.int64]

SEN2LCZ_MF: Confusion = np.array(
    # Sen2LCZ-Net-MF (Qiu et al. 2020) on the 24,188 test patches of So2Sat LCZ42, from its public run.
    [
        [141, 2, 14, 64, 0, 0, 0, 15, 0, 25, 0, 0, 0, 0, 5, 0, 0],
        [114, 699, 162, 42, 18, 1, 109, 49, 1, 54, 0, 0, 0, 1, 10, 2, 0],
        [1, 180, 1880, 7, 15, 186, 80, 40, 14, 28, 0, 0, 0, 34, 0, 0, 0],
        [51, 36, 1, 686, 32, 4, 0, 6, 3, 36, 0, 1, 0, 1, 0, 0, 0],
        [8, 68, 73, 168, 259, 79, 0, 29, 13, 64, 1, 0, 0, 0, 0, 0, 1],
        [1, 11, 360, 10, 57, 1044, 2, 22, 322, 26, 2, 1, 42, 16, 3, 15, 2],
        [2, 18, 268, 1, 0, 1, 162, 26, 1, 22, 0, 0, 0, 0, 0, 2, 0],
        [6, 57, 55, 14, 13, 9, 38, 2961, 30, 270, 0, 0, 0, 13, 19, 11, 0],
        [0, 0, 49, 10, 2, 680, 0, 20, 1105, 7, 37, 17, 22, 39, 1, 24, 0],
        [8, 25, 25, 17, 9, 8, 13, 299, 12, 421, 0, 0, 0, 17, 2, 52, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 35, 4, 2050, 117, 20, 142, 0, 0, 0],
        [0, 0, 0, 0, 0, 7, 0, 3, 66, 8, 38, 196, 34, 53, 0, 27, 1],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 14, 16, 54, 638, 6, 427, 9],
        [0, 0, 1, 10, 0, 3, 0, 10, 101, 17, 12, 25, 29, 2124, 3, 86, 14],
        [0, 0, 1, 0, 0, 0, 19, 46, 0, 26, 0, 0, 0, 0, 67, 46, 0],
        [0, 3, 0, 0, 1, 2, 0, 7, 13, 15, 1, 0, 1, 119, 1, 406, 3],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 12, 0, 2, 2524],
    ],
    dtype=np.int64,
)


def confusions(least: int = 1, most: int = 17) -> st.SearchStrategy[Confusion]:
    """Matrices of counts that are not empty, with classes that are absent."""
    sizes = st.integers(least, most)
    counts = st.one_of(st.just(0), st.integers(0, 20), st.integers(0, 10**6))
    return sizes.flatmap(lambda n: hnp.arrays(np.int64, (n, n), elements=counts)).filter(lambda c: c.sum() > 0)


def test_published_matrix_to_five_digits() -> None:
    found = confusion_measures(SEN2LCZ_MF, lcz=True)
    assert {key: f"{value:.5f}" for key, value in dataclasses.asdict(found).items() if isinstance(value, float)} == {
        "oa": "0.69369",
        "aa": "0.58675",
        "kappa": "0.66437",
        "macro_f1": "0.57655",  # not published: scikit-learn's value, see below
        "oa_weighted": "0.93333",
        "oa_urban": "0.66482",
        "oa_built_natural": "0.97238",
        "accuracy_on_built": "0.64676",
    }
    assert (found.classes_present, found.classes) == (17, 17)


def test_published_matrix_is_the_file(shared: Path) -> None:
    file = shared / "reference" / "sen2lcz_mf_test_confusion.csv"
    assert np.array_equal(np.loadtxt(file, delimiter=",", dtype=np.int64), SEN2LCZ_MF)


def test_two_classes_by_hand() -> None:
    found = confusion_measures(np.array([[8, 2], [1, 9]]), lcz=False)
    # chance: (10 * 9 + 10 * 11) / 400 = 0.5; F1: 16/19 and 18/21
    assert found.oa == pytest.approx(0.85) and found.aa == pytest.approx(0.85)
    assert found.kappa == pytest.approx(0.7) and found.macro_f1 == pytest.approx((16 / 19 + 18 / 21) / 2)
    assert found.oa_weighted is None and found.oa_urban is None
    assert found.oa_built_natural is None and found.accuracy_on_built is None


def test_absent_class_is_left_out_and_counted() -> None:
    found = confusion_measures(np.array([[6, 0, 2], [0, 4, 0], [0, 0, 0]]), lcz=False)
    assert (found.classes_present, found.classes) == (2, 3)
    assert found.aa == pytest.approx((6 / 8 + 1) / 2) and found.macro_f1 == pytest.approx((12 / 14 + 1) / 2)
    each = class_measures(np.array([[6, 0, 2], [0, 4, 0], [0, 0, 0]]))
    assert np.isnan(each.recall[2]) and each.precision[2] == 0 and each.f1[2] == 0


def test_lcz_measures_without_built_or_without_anything_but_e() -> None:
    only_water = np.zeros((17, 17), np.int64)
    only_water[16, 16] = 5
    found = confusion_measures(only_water, lcz=True)
    assert found.oa_urban is None and found.accuracy_on_built is None and found.oa_built_natural == 1
    only_e = np.zeros((17, 17), np.int64)
    only_e[BARE_ROCK, BARE_ROCK] = 5
    assert confusion_measures(only_e, lcz=True).oa_built_natural is None


@pytest.mark.parametrize("classes", [0, 3, 17])
def test_empty_matrix_is_one_line(classes: int) -> None:
    with pytest.raises(UserError, match="no patch was evaluated; choose") as caught:
        confusion_measures(np.zeros((classes, classes), np.int64), lcz=classes == 17)
    assert "\n" not in str(caught.value)


def test_large_counts_do_not_overflow() -> None:
    found = confusion_measures(np.array([[2**40, 2**38], [2**38, 2**40]]), lcz=False)
    assert found.kappa == pytest.approx(0.6)


@given(confusions(), st.permutations(range(17)))
def test_order_of_classes_does_not_matter(confusion: Confusion, permutation: list[int]) -> None:
    order = [position for position in permutation if position < len(confusion)]
    before, after = confusion_measures(confusion, False), confusion_measures(confusion[np.ix_(order, order)], False)
    assert dataclasses.astuple(after)[:6] == pytest.approx(dataclasses.astuple(before)[:6])


@given(confusions(17, 17))
def test_order_inside_the_groups_does_not_matter_for_the_group_measures(confusion: Confusion) -> None:
    order = [*reversed(range(BUILT)), 13, 12, 11, 10, BARE_ROCK, 16, 15]
    before, after = confusion_measures(confusion, True), confusion_measures(confusion[np.ix_(order, order)], True)
    for key in ("oa_urban", "oa_built_natural", "accuracy_on_built"):
        assert getattr(after, key) == pytest.approx(getattr(before, key))


@given(confusions())
def test_bounds(confusion: Confusion) -> None:
    found = confusion_measures(confusion, lcz=len(confusion) == 17)
    values = dataclasses.asdict(found)
    assert -1 <= values.pop("kappa") <= 1 + 1e-12
    del values["classes"], values["classes_present"]
    assert all(0 <= value <= 1 + 1e-12 for value in values.values() if value is not None)
    assert found.oa_weighted is None or found.oa_weighted >= found.oa - 1e-12


@given(hnp.arrays(np.int64, st.integers(1, 17), elements=st.integers(0, 10**6)).filter(lambda a: a.sum() > 0))
def test_perfect_is_one(hits: NDArray[np.int64]) -> None:
    found = confusion_measures(np.diag(hits), lcz=len(hits) == 17)
    del_counts = {k: v for k, v in dataclasses.asdict(found).items() if not k.startswith("classes")}
    assert all(value == pytest.approx(1) for value in del_counts.values() if value is not None)


@given(confusions(), st.integers(1, 50))
def test_twice_the_same_patches_change_nothing(confusion: Confusion, times: int) -> None:
    before, after = confusion_measures(confusion, False), confusion_measures(times * confusion, False)
    assert dataclasses.astuple(after)[:6] == pytest.approx(dataclasses.astuple(before)[:6])


small = hnp.arrays(np.int64, st.tuples(st.just(4), st.just(4)), elements=st.integers(0, 6)).filter(
    lambda c: c.sum() > 0
)


def _patches(confusion: Confusion) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    true, predicted = np.indices(confusion.shape)
    return np.repeat(true.ravel(), confusion.ravel()), np.repeat(predicted.ravel(), confusion.ravel())


def test_a_confusion_matrix_counts_the_most_probable_classes() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    labels, rows = rng.integers(5, size=300), rng.permutation(300)[:200]
    facts = Facts("made", ("band",), tuple("abcdef"), 4, labels)
    scores = torch.from_numpy(rng.integers(4, size=(200, 6)).astype(np.float32))  # with ties
    found = confusion_of(scores.argmax(1).numpy(), facts, rows)
    expected = metrics.confusion_matrix(labels[rows], scores.argmax(dim=1).numpy(), labels=range(6))
    assert found.dtype == np.int64 and np.array_equal(found, expected)
    assert not confusion_of(scores[:0].argmax(1).numpy(), facts, rows[:0]).any()


@settings(deadline=None)  # the first call imports half of scikit-learn
@given(small)
def test_agrees_with_scikit_learn(confusion: Confusion) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    true, predicted = _patches(confusion)
    assume(len(np.unique(np.concatenate([true, predicted]))) > 1)  # scikit-learn's kappa is NaN there
    found, present = confusion_measures(confusion, False), np.unique(true)
    assert found.oa == pytest.approx(metrics.accuracy_score(true, predicted))
    assert found.kappa == pytest.approx(metrics.cohen_kappa_score(true, predicted))
    recall = metrics.recall_score(true, predicted, labels=present, average="macro")
    f1 = metrics.f1_score(true, predicted, labels=present, average="macro", zero_division=0)
    assert (found.aa, found.macro_f1) == pytest.approx((recall, f1))


def test_agrees_with_scikit_learn_on_the_published_matrix() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    true, predicted = _patches(SEN2LCZ_MF)
    found = confusion_measures(SEN2LCZ_MF, True)
    assert found.macro_f1 == pytest.approx(metrics.f1_score(true, predicted, average="macro"), abs=1e-9)
    assert found.kappa == pytest.approx(metrics.cohen_kappa_score(true, predicted), abs=1e-9)
