"""`scripts/eurosat_folder.py`: the bytes unchanged, the splits right, nothing overwritten."""

from __future__ import annotations

import csv
import io
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compactnas.config import DataConfig
from compactnas.data import open_dataset

CLASSES = ("Forest", "River")


def archive(where: Path, patches: int = 2000) -> tuple[Path, list[bytes]]:
    """An archive as the script reads it: of every 5 patches 3 train, 1 validates, 1 tests."""
    jpegs = []
    for row in range(patches):
        stream = io.BytesIO()
        Image.new("RGB", (8, 8), (row % 250, 9, 9)).save(stream, "JPEG")
        jpegs.append(stream.getvalue())
    labels = np.arange(patches) % 2
    np.savez(
        where / "all.npz",
        jpeg_bytes=np.frombuffer(b"".join(jpegs), np.uint8),
        offsets=np.cumsum([0, *map(len, jpegs)]),
        labels=labels.astype(np.uint8),
        class_names=np.array(CLASSES),
        filenames=np.array([f"{CLASSES[label]}_{row}.jpg" for row, label in enumerate(labels)]),
        split_spatial=np.array((0, 0, 0, 1, 2), np.uint8)[np.arange(patches) % 5],
    )
    return where / "all.npz", jpegs


def run(repository: Path, monkeypatch: pytest.MonkeyPatch, *arguments: Path) -> None:
    monkeypatch.syspath_prepend(str(repository / "scripts"))
    monkeypatch.setattr(sys, "argv", ["eurosat_folder.py", *map(str, arguments)])
    runpy.run_path(str(repository / "scripts" / "eurosat_folder.py"), run_name="__main__")


def parts(path: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    with path.open(newline="") as stream:
        for row in csv.DictReader(stream):
            found.setdefault(row["split"], set()).add(row["path"])
    return found


def words(path: Path) -> dict[str, int]:
    return {part: len(paths) for part, paths in parts(path).items()}


def test_folder_and_splits(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, jpegs = archive(tmp_path)
    dest = tmp_path / "eurosat"
    run(repository, monkeypatch, source, dest)
    assert (dest / "River" / "River_7.jpg").read_bytes() == jpegs[7]
    assert words(dest / "split_spatial.csv") == {"train": 1200, "validation": 400, "test": 400}
    assert words(dest / "split_spatial_small.csv") == {"train": 800, "test": 400}
    assert words(dest / "split_random.csv") == {"train": 960, "test": 240}
    assert words(dest / "split_reverse.csv") == {"train": 400, "validation": 400, "test": 800}
    forth, back = (parts(dest / f"split_{name}.csv") for name in ("spatial", "reverse"))
    assert back["train"] == forth["validation"] and back["validation"] | back["test"] == forth["train"]
    uneven = parts(dest / "split_spatial_uneven.csv")
    assert uneven["train"] < forth["train"]
    assert [sum(path.startswith(name) for path in uneven["train"]) for name in CLASSES] == [600, 60]
    assert (uneven["validation"], uneven["test"]) == (forth["validation"], forth["test"])
    folds = {number: parts(dest / f"fold_{number}.csv") for number in range(1, 6)}
    assert {part: len(paths) for part, paths in folds[1].items()} == {"train": 1200, "validation": 400, "test": 400}
    assert set.union(*(fold["test"] for fold in folds.values())) == set.union(*forth.values())
    assert folds[4]["test"] == forth["validation"] and folds[5]["test"] == forth["test"]
    for number, fold in folds.items():
        assert fold["validation"] == folds[number % 5 + 1]["test"]
        assert not fold["train"] & (fold["validation"] | fold["test"])
        find = open_dataset(DataConfig(str(dest), split="csv", split_csv=str(dest / f"find_{number}.csv")))
        assert find.groups is not None and len(find.parts["train"]) == 1600
        keys = np.array(find.source.facts.keys)
        assert set(keys[find.parts["test"]]) == fold["test"]
        for key, group in zip(keys, find.groups, strict=True):
            assert key in folds[int(group.removeprefix("fold "))]["test"]
    dataset = open_dataset(DataConfig(str(dest), split="csv", split_csv=str(dest / "split_spatial_small.csv")))
    assert np.bincount(dataset.source.facts.labels[dataset.parts["train"]]).tolist() == [400, 400]
    with pytest.raises(SystemExit, match="exists already"):
        run(repository, monkeypatch, source, dest)


def test_the_small_archive_beside_it_decides_the_small_split(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = archive(tmp_path, 50)
    names = np.array(["Forest_0.jpg", "River_1.jpg", "Forest_4.jpg"])
    np.savez(tmp_path / "eurosat_rgb_32_small.npz", filenames=names, split_spatial=np.array((0, 0, 2)))
    run(repository, monkeypatch, source, tmp_path / "eurosat")
    with (tmp_path / "eurosat" / "split_spatial_small.csv").open(newline="") as stream:
        training = [row["path"] for row in csv.DictReader(stream) if row["split"] == "train"]
    assert training == ["Forest/Forest_0.jpg", "River/River_1.jpg"]


def test_a_wrong_archive_is_one_line(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "all.npz").write_bytes(b"hello")
    with pytest.raises(SystemExit, match=r"all\.npz"):
        run(repository, monkeypatch, tmp_path / "all.npz", tmp_path / "eurosat")
    assert not (tmp_path / "eurosat").exists()
