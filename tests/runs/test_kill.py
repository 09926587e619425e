"""A run that is killed with -9 goes on where it stopped and ends with the same bytes."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from support.forking import Forked, finish
from support.killing import SAME, command
from support.tiny import write_patches


def kill_when_there(arguments: list[str], file: Path) -> None:
    """Start a run in a process group of its own and kill it as soon as a file has two lines."""
    process = Forked(arguments)
    end = time.monotonic() + 120
    while not (file.exists() and len(file.read_text().splitlines()) >= 2):
        assert process.poll() is None, f"the run ended before {file.name} had two lines"
        assert time.monotonic() < end
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL


def test_a_search_and_a_training_killed_with_9_end_with_the_same_bytes(tmp_path: Path) -> None:
    data = write_patches(tmp_path / "patches.npz")
    finish(command(data, tmp_path / "whole"))
    cut = tmp_path / "cut"
    kill_when_there(command(data, cut), cut / "search" / "metrics.jsonl")
    assert not (cut / "genotype.json").exists()
    kill_when_there(command(data, cut, "--resume"), cut / "train" / "metrics.jsonl")
    assert (cut / "genotype.json").exists() and not (cut / "model.safetensors").exists()
    finish(command(data, cut, "--resume"))
    for name in SAME:
        assert (cut / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
