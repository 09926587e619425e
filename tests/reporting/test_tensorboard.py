"""TensorBoard's events hold what metrics.jsonl holds."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from support.tiny import tiny_config, write_patches

from compactnas.errors import UserError
from compactnas.pipeline import run
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
