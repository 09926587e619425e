"""Dense averages of weights: against plain means, the choice of the start, and the same bytes after a kill."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny import Killed, Killer, tiny_config, write_patches
from torch import nn

from compactnas.config import TrainConfig
from compactnas.data import open_dataset
from compactnas.data.batches import Batches
from compactnas.distributed.process_group import SINGLE_PROCESS
from compactnas.distributed.sync_layers import GlobalBatchNorm
from compactnas.errors import UserError
from compactnas.io.jsonl import read_rows
from compactnas.pipeline.running import train_stage
from compactnas.runs.folder import load
from compactnas.training.dense_average import DenseAverage
from compactnas.training.norm_statistics import recalibrate

EPOCHS, STEPS = 8, 3


def trained(average: DenseAverage, network: nn.Linear) -> list[float]:
    """Give the only weight a known value after each step; return the values."""
    values = [float((epoch * STEPS + step) ** 2) for epoch in range(EPOCHS) for step in range(STEPS)]
    for place, value in enumerate(values):
        nn.init.constant_(network.weight, value)
        average.update(network, place // STEPS)
    return values


def nothing(network: nn.Module) -> None:
    """Calibrate nothing."""


def weight(network: nn.Module) -> float:
    return float(next(network.parameters()).detach())


@pytest.mark.parametrize(("share", "starts"), [(0.5, [4, 5, 6, 7]), (0.25, [6, 7]), (1.0, [0, 2, 4, 6]), (0.01, [7])])
def test_without_a_loss_it_is_the_mean_over_all_steps_of_the_share(share: float, starts: list[int]) -> None:
    network = nn.Linear(1, 1, bias=False)
    average = DenseAverage(network, EPOCHS, share)
    values = trained(average, network)
    assert average.starts == starts and average.network is None
    assert average.choose(nothing, None) == starts[0]
    assert average.network is not None
    own = values[starts[0] * STEPS :]
    assert weight(average.network) == pytest.approx(sum(own) / len(own), rel=1e-5)


@pytest.mark.parametrize("best", range(4))
def test_the_loss_chooses_the_start(best: int) -> None:
    network = nn.Linear(1, 1, bias=False)
    average = DenseAverage(network, EPOCHS, 0.5)
    values = trained(average, network)
    means = [sum(values[start * STEPS :]) / len(values[start * STEPS :]) for start in average.starts]
    calibrated: list[float] = []
    start = average.choose(lambda net: calibrated.append(weight(net)), lambda net: abs(weight(net) - means[best]))
    assert start == average.starts[best] and average.network is not None
    assert calibrated == pytest.approx([*means, means[best]], rel=1e-5)


def test_the_state_of_a_training_of_another_length_is_left_out() -> None:
    network = nn.Linear(1, 1, bias=False)
    short, long = DenseAverage(network, 4, 0.5), DenseAverage(network, EPOCHS, 0.5)
    short.update(network, 3)
    before = weight(long._means[0].module)
    nn.init.constant_(network.weight, 9.0)
    short.update(network, 3)
    long.restore(short.state())
    assert weight(long._means[0].module) == before


def test_a_training_that_is_killed_in_its_average_ends_with_the_same_bytes(tmp_path: Path) -> None:
    data = write_patches(tmp_path / "patches.npz")
    config = tiny_config(data, train={"epochs": 4, "average_last": 0.75, "radiometric_jitter": 0.1})
    train_stage(config, tmp_path / "whole", "resnet8")
    for step in (8, 10):  # in epochs 3 and 4 of four steps each, both in the average
        with pytest.raises(Killed):
            train_stage(config, tmp_path / "cut", "resnet8", resume=True, listener=Killer(step - 4 * (step == 10)))
    train_stage(config, tmp_path / "cut", "resnet8", resume=True)
    for name in ("model.safetensors", "train/metrics.jsonl"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    rows = read_rows(tmp_path / "whole" / "train" / "metrics.jsonl", "")
    assert [row.get("averaged_from") for row in rows[:3]] == [None] * 3 and rows[3]["averaged_from"] in (2, 3, 4)
    train_stage(config, tmp_path / "whole", "resnet8", resume=True)  # a finished training keeps its average
    assert (tmp_path / "whole" / "model.safetensors").read_bytes() == (
        tmp_path / "cut" / "model.safetensors"
    ).read_bytes()


def test_the_average_is_not_the_last_network(tmp_path: Path) -> None:
    data = write_patches(tmp_path / "patches.npz")
    for share in (0.0, 0.5):
        train_stage(tiny_config(data, train={"epochs": 4, "average_last": share}), tmp_path / str(share), "resnet8")
    last, averaged = (load(tmp_path / str(share)).state_dict() for share in (0.0, 0.5))
    assert last.keys() == averaged.keys()
    assert not all(torch.equal(last[name], averaged[name]) for name in last)


@pytest.mark.parametrize(
    ("options", "said"), [({"average_last": 1.5}, "not a share"), ({"average_last": 0.3, "ema_decay": 0.9}, "give one")]
)
def test_wrong_options_are_refused(options: dict[str, float], said: str) -> None:
    with pytest.raises(UserError, match=said):
        TrainConfig(**options)  # type: ignore[arg-type]


def test_statistics_are_computed_again_in_a_layer_of_several_processes_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = open_dataset(tiny_config(write_patches(tmp_path / "patches.npz")).data).source
    batches = Batches(source, np.arange(48), 16, seed=0, stream=0)
    layers = nn.Conv2d(source.batch(np.arange(1))[0].shape[1], 4, 3), nn.BatchNorm2d(4)
    nn.init.constant_(layers[1].running_mean, 9.0)  # of other weights
    plain = nn.Sequential(*layers)
    spread = nn.Sequential(layers[0], GlobalBatchNorm(copy.deepcopy(layers[1]), SINGLE_PROCESS))
    for network in (plain, spread):
        recalibrate(network, batches, 3, torch.device("cpu"), torch.contiguous_format)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(spread[1], name), getattr(plain[1], name), rtol=1e-5, atol=1e-6)
    assert spread[1].momentum == plain[1].momentum == 0.1
