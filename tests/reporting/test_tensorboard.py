"""TensorBoard's events hold what metrics.jsonl holds."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from support.injection import NAMES
from support.tiny import tiny_config, write_patches

from compactnas.errors import UserError
from compactnas.pipeline.running import run
from compactnas.reporting.tensorboard import TensorBoard
from compactnas.training.runtime import Silent

pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")


def events(folder: Path) -> dict[str, dict[int, float]]:
    """Scalars by name and step, out of the record files: length, its checksum, the record, its checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, dict[int, float]] = {}
    for file in sorted(folder.glob("events.*")):
        raw = file.read_bytes()
        while raw:
            (length,) = struct.unpack("<Q", raw[:8])
            event = Event.FromString(raw[12 : 12 + length])
            raw = raw[16 + length :]
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def test_events_are_the_metrics(tmp_path: Path) -> None:
    config, folder = tiny_config(write_patches(tmp_path / "patches.npz")), tmp_path / "run"
    run(config, folder, listener=TensorBoard(Silent(), folder / "tensorboard"))
    for stage, names in (("search", ("loss_weights", "accuracy_alpha", "entropy")), ("train", ("loss", "accuracy"))):
        found = events(folder / "tensorboard" / stage)
        rows = [json.loads(line) for line in (folder / stage / "metrics.jsonl").read_text().splitlines()]
        for name in names:
            values = {row["epoch"]: row[name] for row in rows if name in row}
            assert found[name] == pytest.approx(values)
    last = json.loads((folder / "search" / "metrics.jsonl").read_text().splitlines()[-1])
    assert events(folder / "tensorboard" / "search")["depths/block_2"][last["epoch"]] == pytest.approx(
        last["depths"][1]
    )


def test_without_the_package_one_line_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_TENSORBOARD_AVAILABLE", "_TENSORBOARDX_AVAILABLE"):
        monkeypatch.setattr(f"lightning_fabric.loggers.tensorboard.{name}", False)
    with pytest.raises(UserError, match=r"pip install 'compactnas\[tensorboard\]'"):
        TensorBoard(Silent(), tmp_path)


def hostile_files(folder: Path) -> dict[str, set[str]]:
    """Tags by the folder of each events file."""
    return {str(file.parent.relative_to(folder)): set(events(file.parent)) for file in folder.rglob("events.*")}


def test_names_of_strangers_are_no_tags(tmp_path: Path) -> None:
    """Classes, bands, groups, files and networks with hostile names leave the tags and folders as they are."""
    with np.load(write_patches(tmp_path / "patches.npz", 48)) as archive:
        arrays = dict(archive)
    rows = np.arange(48)
    np.savez(
        tmp_path / "<img src=x onerror=window.sprung=1>.npz",
        **(arrays | {"labels": rows % len(NAMES), "class_names": np.array(NAMES), "band_names": np.array(NAMES[:4])}),
        group=np.array([f"{NAMES[row % len(NAMES)]}{row}" for row in rows]),
    )
    folder = tmp_path / "run"
    data = tmp_path / "<img src=x onerror=window.sprung=1>.npz"
    run(tiny_config(data), folder, listener=TensorBoard(Silent(), folder / "tensorboard"))
    found = hostile_files(folder / "tensorboard")
    assert found.keys() == {"search", "train"}
    for tags in found.values():
        assert tags and all(re.fullmatch(r"[a-z_0-9]+(/block_[0-9]+)?", tag) for tag in tags), tags
    for file in (folder / "tensorboard").rglob("events.*"):
        assert b"sprung" not in file.read_bytes() and b"injected" not in file.read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_the_name_of_a_stage_chooses_no_folder(name: str, tmp_path: Path) -> None:
    board = TensorBoard(Silent(), tmp_path / "tensorboard")
    board.start(f"train {name}", 1, 1)
    board.epoch({"epoch": 1, "loss": 0.5})
    board.end()
    assert hostile_files(tmp_path / "tensorboard") == {"train": {"loss"}}
