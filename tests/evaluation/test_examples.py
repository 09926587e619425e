"""Choice of the patches that an evaluation keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from compactnas.data import ArraySource, Facts
from compactnas.data.true_colour import band_words, shown_bands
from compactnas.evaluation.examples import EACH, MOST, SIDE_PX, Examples, chosen_patches, write_examples


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 60), st.integers(0, 400), st.integers(0, 2**32 - 1))
def test_each_class_has_a_few_right_and_the_surest_wrong(classes: int, count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    true, predicted = random.integers(0, classes, (2, count))
    predicted = np.where(random.random(count) < 0.5, true, predicted)
    confidence = random.random(count).astype(np.float32)
    chosen = chosen_patches(true, predicted, confidence)
    assert len(set(chosen.tolist())) == len(chosen) <= MOST
    assert np.array_equal(chosen, chosen_patches(true, predicted, confidence)), "the draw has a seed"
    known = np.unique(true)
    if len(known) * 2 * EACH <= MOST:
        assert set(true[chosen]) == set(known)
    for number in set(true[chosen].tolist()):
        here = chosen[true[chosen] == number]
        wrong = here[predicted[here] != number]
        assert len(here) - len(wrong) == min(EACH, ((true == number) & (predicted == number)).sum())
        left = np.setdiff1d(np.flatnonzero((true == number) & (predicted != number)), wrong)
        assert len(wrong) == EACH or not len(left)
        assert not len(left) or not len(wrong) or confidence[left].max() <= confidence[wrong].min() + 1e-4


def test_bands_are_named() -> None:
    assert shown_bands(("B02", "B03", "B04", "B08")) == [2, 1, 0]
    assert band_words(("B02", "B03", "B04", "B08")) == "true colour (B04, B03, B02)"
    assert band_words(("a", "b", "c", "d")) == "a, b, c as red, green and blue"
    assert band_words(("a", "b")) == "a, b, b as red, green and blue" and band_words(("vv",)) == "vv in grey"


def test_large_patches_are_averaged_and_odd_pixels_do_no_harm(tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(0, 1, (6, 1, 70, 70)).astype(np.float32)
    images[0] = np.nan
    facts = Facts("x", ("vv",), ("a", "b"), 70, np.array([0, 0, 0, 1, 1, 1]))
    predicted, confidence = np.array([0, 1, 0, 1, 0, 1]), np.full(6, 0.5, np.float32)
    write_examples(tmp_path, ArraySource(facts, images), np.arange(6), predicted, confidence, "hash")
    found = Examples.read(tmp_path)
    assert found is not None and len(found.patches) == 6 and found.evaluation == "hash"
    assert all(one.png.startswith(b"\x89PNG") for one in found.patches)
    side = int.from_bytes(found.patches[0].png[16:20], "big")
    assert side == 24 <= SIDE_PX, "70 / 3, rounded up"


def test_an_empty_part_keeps_nothing(tmp_path: Path) -> None:
    facts = Facts("x", ("vv",), ("a",), 4, np.zeros(1, np.int64))
    source = ArraySource(facts, np.zeros((1, 1, 4, 4), np.float32))
    none = np.zeros(0, np.int64)
    write_examples(tmp_path, source, none, none, np.zeros(0, np.float32), "hash")
    found = Examples.read(tmp_path)
    assert found is not None and found.patches == () and Examples.read(tmp_path / "nowhere") is None
