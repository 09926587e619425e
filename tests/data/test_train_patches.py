"""`data.train_patches`: the training part drawn by class with a seed, and nothing else changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiny import write_patches

from compactnas.config import DataConfig
from compactnas.data import open_dataset
from compactnas.data.splits import draw_by_class
from compactnas.errors import UserError


@settings(deadline=None, max_examples=80)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.integers(1, 200), st.integers(0, 5))
def test_each_class_has_its_share(counts: list[int], most: int, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    rows = np.flatnonzero(np.ones(len(labels))) + 3
    known = np.concatenate((np.zeros(3, np.int64), labels))
    if most < min(len(counts), len(rows)):
        with pytest.raises(UserError, match=r"data\.train_patches: .* classes"):
            draw_by_class(rows, known, most, seed)
        return
    drawn = draw_by_class(rows, known, most, seed)
    assert len(drawn) == min(most, len(rows)) and set(drawn.tolist()) <= set(rows.tolist())
    assert (np.diff(drawn) > 0).all()
    found = np.bincount(known[drawn], minlength=len(counts))
    shares = min(most, len(rows)) * np.array(counts) / len(rows)
    assert (found >= 1).all() and (found <= counts).all()
    if (shares >= 1).all():
        assert (np.abs(found - shares) < 1).all()
    assert (drawn == draw_by_class(rows, known, most, seed)).all()


def test_only_the_training_part_is_limited(tmp_path: Path) -> None:
    config = DataConfig(str(write_patches(tmp_path / "patches.npz")))
    whole, few = open_dataset(config), open_dataset(replace(config, train_patches=30))
    assert len(few.parts["train"]) == 30 and set(few.parts["train"].tolist()) < set(whole.parts["train"].tolist())
    assert few.source.facts.labels[few.parts["train"]].tolist().count(0) == 10
    for part in ("validation", "test"):
        assert (few.parts[part] == whole.parts[part]).all()
    other = open_dataset(replace(config, train_patches=30, split_seed=1))
    assert set(other.parts["train"].tolist()) != set(few.parts["train"].tolist())
    same = open_dataset(replace(config, train_patches=10**6))
    assert (same.parts["train"] == whole.parts["train"]).all()


def test_a_wrong_limit_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.train_patches: -1 is negative"):
        DataConfig(train_patches=-1)
    with pytest.raises(UserError, match=r"data\.train_patches: 2 patches cannot hold the 3 classes"):
        open_dataset(DataConfig(str(write_patches(tmp_path / "patches.npz")), train_patches=2))
