"""Averages of independent trainings: plain means, the greedy choice, and trainings that start from given weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.tiny import tiny_config, write_patches
from torch import nn

from compactnas.cli import main
from compactnas.errors import UserError
from compactnas.io.atomic import read_json
from compactnas.pipeline.evaluating import evaluate_stage
from compactnas.pipeline.running import train_stage
from compactnas.runs.folder import load
from compactnas.training.averaging import _greedy, average_networks, average_runs
from compactnas.training.runtime import Silent


def test_the_average_is_the_mean_of_the_weights() -> None:
    networks = [nn.Linear(2, 3) for _ in range(3)]
    found = average_networks(networks)
    for name, own in found.state_dict().items():
        assert torch.allclose(own, sum(one.state_dict()[name] for one in networks) / 3)
    assert not torch.equal(found.weight, networks[0].weight)  # type: ignore[arg-type]  # the inputs stay as they are


def test_a_network_joins_only_if_the_average_is_not_less_accurate() -> None:
    asked: list[list[int]] = []

    def accuracy(members: object) -> float:
        asked.append(list(members))  # type: ignore[call-overload]
        return {(1, 2): 0.7, (1, 0): 0.9, (1, 0, 3): 0.9}[tuple(asked[-1])]

    assert _greedy([0.7, 0.8, 0.75, 0.1], accuracy) == [1, 0, 3]
    assert asked == [[1, 2], [1, 0], [1, 0, 3]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training, and two that start from it with other seeds."""
    home = tmp_path_factory.mktemp("average")
    data = write_patches(home / "patches.npz")
    train_stage(tiny_config(data), home / "start", "resnet8")
    for seed in (1, 2):
        config = tiny_config(data, train={"start_from": str(home / "start"), "epochs": 1}, seed=seed)
        train_stage(config, home / f"run{seed}", "resnet8")
    return home


def test_runs_are_averaged_into_a_run(home: Path) -> None:
    rows = average_runs([home / "run1", home / "run2"], home / "averaged", Silent())
    assert rows == read_json(home / "averaged" / "average.json", "")
    assert sum(row["averaged"] for row in rows) >= 1 and all(0 <= row["validation_oa"] <= 1 for row in rows)
    assert evaluate_stage(home / "averaged").n == 24
    members = [load(row["run"]) for row in rows if row["averaged"]]
    found = dict(load(home / "averaged").named_parameters())
    for name, own in average_networks(members).named_parameters():
        assert torch.equal(own, found[name])
    for taken in ("averaged", "run1"):
        with pytest.raises(UserError, match="holds a run; name a new folder for the average"):
            average_runs([home / "run1", home / "run2"], home / taken, Silent())


def test_runs_of_two_splits_are_not_averaged(home: Path, tmp_path: Path) -> None:
    """The test part of one has trained the other."""
    config = tiny_config(home / "patches.npz", train={"epochs": 1})
    other = replace(config, data=replace(config.data, split="random"))
    train_stage(other, tmp_path / "other", "resnet8")
    with pytest.raises(UserError, match=r"other: has another split of the data than .*run1.*; name runs of one split"):
        average_runs([home / "run1", tmp_path / "other"], tmp_path / "averaged", Silent())
    assert not (tmp_path / "averaged").exists()


def test_a_run_that_is_named_twice_counts_once(home: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name each once"):
        average_runs([home / "run1", home / "run2", home / "run1/../run2"], tmp_path / "averaged", Silent())


def test_a_training_starts_from_the_given_weights(home: Path) -> None:
    """With a learning rate of almost nothing, it ends with them."""
    config = tiny_config(
        home / "patches.npz",
        train={"start_from": str(home / "start"), "learning_rate": 1e-9, "learning_rate_min": 1e-9, "epochs": 1},
    )
    train_stage(config, home / "still", "resnet8")
    before, after = (dict(load(home / name).named_parameters()) for name in ("start", "still"))
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)


@pytest.mark.parametrize(
    ("names", "said"), [(["run1"], "two runs or more"), (["run1", "run1"], "two runs or more"), (["run1", "no"], "no")]
)
def test_what_cannot_be_averaged_is_one_line(
    home: Path, names: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["average", *(str(home / name) for name in names), "-o", str(home / "out")]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1 and said in error and not (home / "out").exists()


def test_another_network_cannot_start_from_a_run(home: Path, tmp_path: Path) -> None:
    config = tiny_config(home / "patches.npz", train={"start_from": str(home / "start")})
    with pytest.raises(UserError, match=r"train\.start_from: .* has trained another network"):
        train_stage(config, tmp_path / "out", "resnet20")
    nowhere = tiny_config(home / "patches.npz", train={"start_from": str(tmp_path / "nowhere")})
    with pytest.raises(UserError, match=r"train\.start_from: .*nowhere"):
        train_stage(nowhere, tmp_path / "out", "resnet8")
