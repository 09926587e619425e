"""Steps that are recorded as a CUDA graph and replayed: they must be the steps themselves."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support.tiny import tiny_config, write_patches

from compactnas.pipeline.running import train_stage
from compactnas.training import cuda_graph as replay

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs: need CUDA")

SAME = 0.15
"""Of the way that weights go in a training: a GPU's sums have another order in each run. A wrong rate gives 0.4."""

RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "soft": {"label_smoothing": 0.1, "mixup": 0.2},
    "averaged": {"ema_decay": 0.9},
    "unclipped": {"gradient_clip": 0.0},
}


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patches(tmp_path_factory.mktemp("tiny") / "patches.npz")


def train(patches: Path, folder: Path, model: str = "resnet8", **settings: Any) -> dict[str, torch.Tensor]:
    """Weights after some epochs of 4 whole batches of 14 patches and a smaller one."""
    config = tiny_config(patches, train={"epochs": 3, "batch_size": 14} | settings)
    config = replace(config, machine=replace(config.machine, device="cuda"))
    train_stage(config, folder, model, resume=True)
    return load_file(folder / "model.safetensors")


def distance(patches: Path, folder: Path, one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Between two trained networks, as a share of the way that the second went from the first weights of both."""
    start = train(patches, folder, learning_rate=1e-12, learning_rate_min=0.0)
    learnt = [name for name in start if "running" not in name and "normalise" not in name]
    apart, gone = (sum(float((w[n].double() - other[n]).square().sum()) for n in learnt) for w in (one, start))
    return math.sqrt(apart / gone)


def figures(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "train" / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("recipe", RECIPES)
def test_replayed_steps_are_the_steps(
    recipe: str, patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replays: list[int] = []
    play = torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", lambda graph: (replays.append(1), play(graph))[1])
    replayed = train(patches, tmp_path / "replayed", **RECIPES[recipe])
    assert len(replays) == 3 * 4 - replay.WARM_UP
    monkeypatch.setattr(replay, "WARM_UP", 10**9)
    before = len(replays)
    taken = train(patches, tmp_path / "taken", **RECIPES[recipe])
    assert len(replays) == before
    for mine, other in zip(figures(tmp_path / "replayed"), figures(tmp_path / "taken"), strict=True):
        assert mine["loss"] == pytest.approx(other["loss"], rel=0.05, abs=2e-3)
        assert mine["learning_rate"] == other["learning_rate"]
    assert distance(patches, tmp_path / "start", replayed, taken) < SAME


def test_a_replayed_training_goes_on_where_it_stopped(patches: Path, tmp_path: Path) -> None:
    whole = train(patches, tmp_path / "whole")
    train(patches, tmp_path / "cut")
    newest = max((tmp_path / "cut" / "train").glob("*.pt"))
    newest.unlink()
    assert distance(patches, tmp_path / "start", train(patches, tmp_path / "cut"), whole) < SAME


def test_dropout_is_drawn_anew_in_each_replay() -> None:
    ones = torch.ones(1000, device="cuda")
    step = replay.ReplayedStep(lambda x: (torch.nn.functional.dropout(x, 0.5),))
    drawn = [step(ones)[0].clone() for _ in range(replay.WARM_UP + 4)]
    assert all(not torch.equal(a, b) for a, b in pairwise(drawn))
