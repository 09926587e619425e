"""Laws of the splits: never overlapping, whole where they should be, the same for the same seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from support.data_files import write_csv

from compactnas.config import DataConfig, Split
from compactnas.data import Facts, halves
from compactnas.data.splits import SPLITTERS, make_parts
from compactnas.errors import UserError


def facts_of(patches: int, groups: int = 0, official: bool = False, classes: int = 2) -> Facts:
    rows = np.arange(patches)
    parts = {
        "train": rows[: patches // 2],
        "validation": rows[patches // 2 : -patches // 4],
        "test": rows[-patches // 4 :],
    }
    return Facts(
        name="made",
        bands=("R",),
        classes=tuple(f"class {number}" for number in range(classes)),
        patch_px=4,
        labels=rows % classes,
        # Groups of unequal size, each with both classes.
        groups=np.array([f"city {int((row // 2) ** 0.5) % groups}" for row in rows]) if groups else None,
        parts=parts if official else {},
        keys=[f"class {row % classes}/{row}.png" for row in rows],
    )


@settings(max_examples=60, deadline=None)
@given(
    patches=st.integers(80, 400),
    split=st.sampled_from(["official", "d1", "d2", "group", "random"]),
    test=st.floats(0.1, 0.6),
    validation=st.sampled_from([0.0, 0.1, 0.3]),
    seed=st.integers(0, 10**6),
)
def test_parts_never_overlap_and_cover_what_they_should(
    patches: int, split: str, test: float, validation: float, seed: int
) -> None:
    facts = facts_of(patches, groups=6, official=True)
    config = DataConfig("x", split=split, validation_fraction=validation, split_seed=seed)
    config = config if split in ("official", "d1") else replace(config, test_fraction=test)
    try:
        parts, _ = make_parts(facts, config)
    except UserError as error:  # a small validation part may be of one class
        if "has only one class" not in str(error):
            raise
        reject()
    assert tuple(parts) == ("train", "validation", "test")
    together = np.concatenate(list(parts.values()))
    covered = facts.parts["train"] if split == "d2" else np.arange(patches)
    np.testing.assert_array_equal(np.sort(together), covered)
    assert all((np.diff(rows) > 0).all() for rows in parts.values())
    again, _ = make_parts(facts, config)
    assert all((parts[part] == again[part]).all() for part in parts)
    if split in ("official", "d1"):
        np.testing.assert_array_equal(parts["test"], facts.parts["test"])
        np.testing.assert_array_equal(parts["validation"], facts.parts["validation"])
    elif validation:
        assert len(parts["validation"])
    if split == "group":
        assert facts.groups is not None
        owners = [set(facts.groups[rows]) for rows in parts.values()]
        assert not (owners[0] & owners[1] or owners[0] & owners[2] or owners[1] & owners[2])


def test_the_papers_d2_has_the_papers_sizes() -> None:
    facts = facts_of(352_366 * 2, official=True)
    parts, _ = make_parts(facts, DataConfig("x", split="d2"))
    assert len(parts["train"]) == 281_893
    assert len(parts["test"]) == 70_473
    assert parts["test"].max() < 352_366
    other, _ = make_parts(facts, DataConfig("x", split="d2", split_seed=1))
    assert 0.15 < np.isin(parts["test"], other["test"]).mean() < 0.25


def test_a_validation_part_is_cut_out_of_official_training_only_where_there_is_none() -> None:
    facts = facts_of(200, official=True)
    without = Facts(**{**vars(facts), "parts": {part: facts.parts[part] for part in ("train", "test")}})
    parts, _ = make_parts(without, DataConfig("x", validation_fraction=0.25))
    assert len(parts["validation"]) == 25
    assert len(parts["train"]) == 75
    assert np.isin(parts["validation"], facts.parts["train"]).all()
    parts, (note, *_) = make_parts(facts, DataConfig("x", validation_fraction=0.25))
    assert (
        note
        == f"data.validation_fraction has no effect: made has a validation part of {len(parts['validation'])} patches"
    )
    assert not [text for text in make_parts(facts, DataConfig("x"))[1] if "validation_fraction" in text]


def test_options_of_a_split_are_left_behind_with_it() -> None:
    blocks = DataConfig("x", split="block", block_m=700.0, test_fraction=0.3)
    other = replace(blocks, split="csv", split_csv="a.csv")
    assert other.with_fitting_split_options(blocks) == DataConfig("x", split="csv", split_csv="a.csv")
    assert replace(blocks, split="random").with_fitting_split_options(blocks).test_fraction == 0.3
    assert other.with_fitting_split_options(blocks, ["csv", "random"]).split_options_without_effect() == ("block_m",)
    given = replace(other, test_fraction=0.4).with_fitting_split_options(blocks)  # not taken over
    assert given.split_options_without_effect() == ("test_fraction",)


def test_named_groups_are_held_out_whole() -> None:
    facts = facts_of(200, groups=5)
    parts, warnings = make_parts(
        facts, DataConfig("x", split="group", test_groups=("city 1", "city 3"), validation_fraction=0.3)
    )
    assert facts.groups is not None
    assert set(facts.groups[parts["test"]]) == {"city 1", "city 3"}
    assert (np.isin(facts.groups, ("city 1", "city 3")).sum()) == len(parts["test"])
    assert len(parts["validation"])
    assert warnings == ()


def test_drawn_groups_come_near_the_fraction_and_leave_some_to_train() -> None:
    facts = facts_of(2000, groups=20)
    for seed in range(20):
        parts, _ = make_parts(facts, DataConfig("x", split="group", test_fraction=0.2, split_seed=seed))
        assert 0.1 < len(parts["test"]) / 2000 < 0.3


def test_a_random_cut_through_groups_is_warned_of() -> None:
    _, warnings = make_parts(facts_of(400, groups=5), DataConfig("x", split="random"))
    assert warnings[-1].startswith("the training and the test part share 5 of 5 groups (city 0, ")


def test_an_absent_class_is_named_once() -> None:
    facts = facts_of(40, classes=4)
    labels = np.where(facts.labels == 3, 0, facts.labels)
    labels[-10:] = np.arange(10) % 2
    parts = {"train": np.arange(30), "test": np.arange(30, 40)}
    _, warnings = make_parts(Facts(**{**vars(facts), "labels": labels, "parts": parts}), DataConfig("x"))
    assert warnings == (
        "made has no patch of 1 of 4 classes: class 3",
        "the test part has no patch of 1 of 4 classes: class 2",
    )


@given(patches=st.integers(2, 300), seed=st.integers(0, 10**6))
def test_halves_are_disjoint_and_equal(patches: int, seed: int) -> None:
    rows = np.arange(patches) * 3
    first, second = halves(rows, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([first, second])), rows)
    assert len(first) - len(second) in (0, 1)
    again = halves(rows, seed)
    assert (first == again[0]).all()


# From a CSV


def csv_config(path: Path, **rest: float) -> DataConfig:
    return DataConfig("x", split="csv", split_csv=str(path), **rest)


def test_csv_parts_are_those_listed_and_no_others(tmp_path: Path) -> None:
    facts = facts_of(20)
    words = ["train", "Training", "validation", "val", " test ", "testing"]
    rows = [(f"class {row % 2}/{row}.png", words[row // 2]) for row in range(12)]
    parts, _ = make_parts(facts, csv_config(write_csv(tmp_path / "split.csv", rows[::-1])))
    assert {part: found.tolist() for part, found in parts.items()} == {
        "train": [0, 1, 2, 3],
        "validation": [4, 5, 6, 7],
        "test": [8, 9, 10, 11],
    }


def test_csv_groups_keep_validation_whole_and_show_leaks(tmp_path: Path) -> None:
    facts = facts_of(40)
    assert facts.keys is not None
    rows = [(key, "test" if row >= 30 else "train", f"g{row // 4}") for row, key in enumerate(facts.keys)]
    path = write_csv(tmp_path / "split.csv", rows, ("path", "split", "group"))
    parts, warnings = make_parts(facts, csv_config(path, validation_fraction=0.3))
    assert not set(parts["validation"] // 4) & set(parts["train"] // 4)
    leaking = "the training and the test part share 1 of 10 groups (g7)"
    assert 7 in set(parts["validation"] // 4) or warnings[0].startswith(leaking)


def test_patches_that_share_a_key_go_together(tmp_path: Path) -> None:
    facts = facts_of(16)
    keys = [f"scene{row // 4}.tif" for row in range(16)]
    path = write_csv(tmp_path / "s.csv", [("scene0.tif", "train"), ("scene2.tif", "test")])
    parts, _ = make_parts(Facts(**{**vars(facts), "keys": keys}), csv_config(path))
    assert parts["train"].tolist() == [0, 1, 2, 3]
    assert parts["test"].tolist() == [8, 9, 10, 11]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,split\nclass 0/0.png,train\nclass 0/0.png,test\n", "line 3: class 0/0.png is listed twice"),
        ("path,split\nclass 0/0.png,trian\n", "line 2: unknown split 'trian'; use train, validation or test"),
        ("path,split\nclass 0/99.png,train\n", "line 2: class 0/99.png is not among the patches"),
        ("path,split\n../class 0/0.png,train\n", "line 2: ../class 0/0.png leaves the folder"),
        ("path,split\n/etc/passwd,train\n", "line 2: /etc/passwd leaves the folder"),
        ("path,split\nC:\\data\\0.png,train\n", "leaves the folder"),
        ("path,split\nclass 0/0.png\n", "line 2: unknown split ''"),
        ("file,part\nclass 0/0.png,train\n", "has no column path, split; its first line must be path,split"),
        ("", "has no column path, split"),
        ("path,split\n", "the train part of `csv` is empty"),
        ('path,split\n"class 0/0.png,train\n', "is not a CSV file"),
        ("path,split\n\xff,train\n", "is not a CSV file in UTF-8"),
        ("path,split\nclass 0/0.png,train\nclass 1/1.png,train\nclass 0/2.png,test\n", "has only one class, class 0"),
    ],
)
def test_a_broken_csv_is_one_line_with_its_row(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "split.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError) as caught:
        make_parts(facts_of(20), csv_config(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("facts", "config", "message"),
    [
        (facts_of(20), DataConfig("x"), "made has no official parts for `official`; use random or csv"),
        (facts_of(20, groups=3), DataConfig("x", split="d2"), "no official parts for `d2`; use random, csv or group"),
        (facts_of(20), DataConfig("x", split="group"), "made has no groups"),
        (facts_of(20, groups=1), DataConfig("x", split="group"), "one group, city 0, cannot be cut"),
        (
            facts_of(20, groups=2),
            DataConfig("x", split="group", test_groups=("Rome",)),
            "no group Rome; it has city 0,",
        ),
        (facts_of(20, groups=2), DataConfig("x", split="group", test_groups=("city 0", "city 1")), "train part of"),
        (facts_of(20), DataConfig("x", split="random", test_groups=("city 0",)), "applies to `split: group`"),
        (facts_of(20), DataConfig("x", split="random", split_csv="a.csv"), "applies to `split: csv`"),
        (facts_of(20), DataConfig("x", split="random", folds=3), "data.folds: applies to `split: fold`, not to"),
        (facts_of(20), DataConfig("x", split="group", block_m=10.0), "data.block_m: applies to `split: block`, not to"),
        *(
            (
                facts_of(20),
                DataConfig("x", split=split, split_csv="a.csv" * (split == "csv"), test_fraction=0.3),
                "block`",
            )
            for split in ("official", "d1", "csv", "fold")
        ),
        (
            facts_of(20, groups=4),
            DataConfig("x", split="group", test_groups=("city 0",), test_fraction=0.3),
            "data.test_fraction: has no effect, because data.test_groups names the test part",
        ),
        (facts_of(20), DataConfig("x", split="random", split_seed=-1), "-1 is negative"),
        (facts_of(20), DataConfig("x", split="csv", split_csv="/nowhere/a.csv"), "cannot be read"),
        (facts_of(1), DataConfig("x", split="random"), "1 patches cannot be cut"),
        (facts_of(20, classes=1), DataConfig("x", split="random"), "has only one class, class 0"),
    ],
)
def test_a_split_that_cannot_be_made_is_one_line(facts: Facts, config: DataConfig, message: str) -> None:
    with pytest.raises(UserError) as caught:
        make_parts(facts, config)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_split_of_the_config_has_a_splitter() -> None:
    assert set(SPLITTERS) == set(get_args(Split))
