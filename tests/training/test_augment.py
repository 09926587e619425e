"""What a training can do beside the paper's: each part by its closed form, all together by their bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.tiny import CLASSES, Killed, Killer, tiny_config, write_patches
from torch import nn
from torch.nn import functional as F

from compactnas.config import DataConfig, TrainConfig
from compactnas.data import open_dataset, open_source
from compactnas.data.batches import SYMMETRIES, Batches, symmetry
from compactnas.errors import UserError
from compactnas.pipeline.evaluating import evaluate_stage
from compactnas.pipeline.running import train_stage
from compactnas.runs.folder import load
from compactnas.training.augment import jitter_radiometry, mix_patches
from compactnas.training.distillation import predict_by_teachers
from compactnas.training.ema import WeightAverage
from compactnas.training.targets import soft_loss_and_accuracy, soft_targets

ALL: dict[str, Any] = {
    "shift": 2,
    "radiometric_jitter": 0.1,
    "label_smoothing": 0.1,
    "mixup": 0.4,
    "cutmix": 1.0,
    "balance": 0.5,
    "ema_decay": 0.9,
    "teacher_weight": 0.7,
    "teacher_temperature": 2.0,
}


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patches(tmp_path_factory.mktemp("tiny") / "patches.npz")


@pytest.fixture(scope="module")
def teacher(patches: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher") / "run"
    train_stage(tiny_config(patches, train={"epochs": 2}), folder, "resnet8")
    return folder


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_soft_targets_is_the_librarys(smoothing: float) -> None:
    logits, labels = torch.randn(6, 5, dtype=torch.float64), torch.tensor([0, 4, 2, 2, 1, 3])
    targets = soft_targets(labels, 5, smoothing, None, 0.5).double()
    loss, hits = soft_loss_and_accuracy(logits, targets, labels, 6)
    torch.testing.assert_close(loss, F.cross_entropy(logits, labels, label_smoothing=smoothing))
    assert float(hits) == pytest.approx(float((logits.argmax(-1) == labels).double().mean()))
    parts = [soft_loss_and_accuracy(logits[a:b], targets[a:b], labels[a:b], 6)[0] for a, b in ((0, 2), (2, 6))]
    torch.testing.assert_close(sum(parts), loss)


def test_a_teachers_answer_takes_its_share_of_the_target() -> None:
    taught = torch.tensor([[0.2, 0.3, 0.5]])
    found = soft_targets(torch.tensor([0]), 3, 0.3, taught, 0.25)
    torch.testing.assert_close(found, 0.75 * torch.tensor([[0.8, 0.1, 0.1]]) + 0.25 * taught)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), mixup=st.sampled_from([0.0, 0.2, 1.0]), cutmix=st.sampled_from([0.0, 1.0]))
def test_a_mixed_patch_is_as_much_of_each_as_its_target_says(seed: int, mixup: float, cutmix: float) -> None:
    """Patches that hold their own number everywhere: the mean of a mixed one is that of its target."""
    if not (mixup or cutmix):
        return
    numbers = torch.arange(7.0)
    x, targets = numbers.view(-1, 1, 1, 1).expand(7, 2, 8, 6).contiguous(), torch.eye(7)
    before = x.clone()
    found, soft = mix_patches(x, targets, (seed, 3, 1), mixup=mixup, cutmix=cutmix)
    torch.testing.assert_close(found.mean(dim=(1, 2, 3)), soft @ numbers, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(soft.sum(dim=1), torch.ones(7))
    assert torch.equal(x, before)
    again, _ = mix_patches(x, targets, (seed, 3, 1), mixup=mixup, cutmix=cutmix)
    assert torch.equal(found, again)
    if not mixup:  # every pixel is of one of the two
        assert torch.equal(found, found.round())


def test_mixing_differs_from_step_to_step_and_uses_both_ways() -> None:
    x, targets = torch.rand(8, 1, 8, 8), torch.eye(8)
    found = [mix_patches(x, targets, (0, 0, step), mixup=1.0, cutmix=1.0)[0] for step in range(20)]
    assert not any(torch.equal(found[0], other) for other in found[1:])
    of_one = [bool(torch.isin(batch, x).all()) for batch in found]
    assert 0 < sum(of_one) < 20


def test_other_light_is_a_factor_of_each_patch_and_an_offset_of_each_band() -> None:
    std, x = torch.tensor([1.0, 100.0]).view(2, 1, 1), torch.rand(4000, 2, 2, 3)
    found = jitter_radiometry(x, 0.1, std, (7, 3, 1), 4000, slice(0, 4000))
    assert torch.equal(found, jitter_radiometry(x, 0.1, std, (7, 3, 1), 4000, slice(0, 4000)))
    assert not torch.allclose(found, jitter_radiometry(x, 0.1, std, (7, 3, 2), 4000, slice(0, 4000)))
    one, other = x[:, :, 0, 0], x[:, :, 1, 2]
    factors = (found[:, :, 0, 0] - found[:, :, 1, 2]) / (one - other)  # the offset falls out
    clear = (one - other).abs().min(dim=1).values > 0.2
    torch.testing.assert_close(factors[clear, 0], factors[clear, 1], atol=1e-3, rtol=1e-3)
    logarithm, offsets = factors[clear, 0].log(), (found - x * factors[:, :1, None, None])[clear, :, 0, 0]
    assert float(logarithm.mean()) == pytest.approx(0, abs=0.01) and float(logarithm.std()) == pytest.approx(
        0.1, rel=0.1
    )
    assert (offsets.std(0) / std.flatten()).tolist() == pytest.approx([0.1, 0.1], rel=0.1)
    assert abs(float(torch.corrcoef(offsets.T)[0, 1])) < 0.1


def test_each_process_sees_its_part_of_the_batch_in_the_light_of_the_whole() -> None:
    x, std = torch.rand(7, 3, 4, 4), torch.rand(3, 1, 1)
    parts = [jitter_radiometry(x[share], 0.3, std, (0, 0, 0), 7, share) for share in (slice(0, 3), slice(3, 7))]
    assert torch.equal(torch.cat(parts), jitter_radiometry(x, 0.3, std, (0, 0, 0), 7, slice(0, 7)))


def test_the_average_begins_as_a_mean_and_forgets_by_its_decay() -> None:
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    averaged, values, expected = WeightAverage(network, 0.8), [3.0, 5.0, 7.0, -2.0, 4.0, 9.0, 1.0], 0.0
    for number, value in enumerate(values):
        with torch.no_grad():
            network[0].weight.fill_(value)
            network[1].running_mean.fill_(-value)
        averaged.update(network)
        share = max(0.2, 1 / (number + 1))
        expected += share * (value - expected)
    kept = averaged.network
    found = [float(kept.get_parameter("0.weight").detach()), float(kept.get_buffer("1.running_mean"))]
    assert found == pytest.approx([expected, -expected])
    assert float(network[0].weight.detach()) == 1.0


def test_balanced_classes_are_drawn_as_often_as_they_should(tmp_path: Path) -> None:
    labels = np.array([0] * 900 + [1] * 90 + [2] * 10)
    file = tmp_path / "uneven.npz"
    np.savez(file, images=np.random.default_rng(0).random((1000, 1, 4, 4), np.float32), labels=labels)
    source = open_source(DataConfig(path=str(file)))
    even, root = np.full(3, 1 / 3), np.sqrt([900, 90, 10])
    for balance, shares in ((1.0, even), (0.5, root / root.sum())):
        batches = Batches(source, np.arange(1000), 50, seed=0, stream=0, balance=balance)
        drawn = np.concatenate([batches.chosen(epoch, step) for epoch in range(10) for step in range(20)])
        assert np.bincount(labels[drawn]) / len(drawn) == pytest.approx(shares, abs=0.02)


def test_shares_are_the_rows_of_the_batches(patches: Path) -> None:
    data = open_dataset(tiny_config(patches).data)
    for balance in (0.0, 1.0):
        batches = Batches(data.source, data.parts["train"], 16, seed=0, stream=0, augment="dihedral", balance=balance)
        rows, labels = list(batches.shares(2, 1)), [y for _, y in batches.epoch(2, 1)]
        assert len(rows) == len(labels) == len(batches) - 1
        for own, y in zip(rows, labels, strict=True):
            assert np.array_equal(data.source.facts.labels[own], y.numpy())


def test_a_teacher_is_asked_for_all_symmetries_of_its_rows(patches: Path, teacher: Path) -> None:
    data = open_dataset(tiny_config(patches).data)
    found = predict_by_teachers([str(teacher), str(teacher)], data, torch.device("cpu"), temperature=2.0)
    assert found is not None
    row, network = int(data.parts["train"][5]), load(teacher)
    x = torch.from_numpy(data.source.batch(np.array([row]))[0]).float()
    with torch.inference_mode():
        one = torch.stack([(network(symmetry(x, e)) / 2).softmax(-1) for e in range(SYMMETRIES)]).mean(0)
    torch.testing.assert_close(found[row], one[0], atol=1e-5, rtol=1e-4)
    assert not found[data.parts["test"]].any()
    assert predict_by_teachers((), data, torch.device("cpu"), temperature=1.0) is None


def test_a_teacher_that_does_not_fit_is_one_line(patches: Path, teacher: Path, tmp_path: Path) -> None:
    config = tiny_config(patches, train={"teachers": (str(teacher),)})
    config = replace(config, data=replace(config.data, bands=("band1", "band2")))
    with pytest.raises(UserError, match=r"train\.teachers: .*bands") as caught:
        train_stage(config, tmp_path / "run", "resnet8")
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()
    with pytest.raises(UserError, match="train a model here first"):
        train_stage(tiny_config(patches, train={"teachers": ("nowhere",)}), tmp_path / "run", "resnet8")


@pytest.mark.parametrize(
    "value",
    [
        {"label_smoothing": 1.0},
        {"mixup": -1.0},
        {"shift": -1},
        {"radiometric_jitter": -0.1},
        {"radiometric_jitter": float("nan")},
        {"ema_decay": 1.5},
        {"teacher_temperature": 0.0},
    ],
)
def test_what_cannot_be_is_one_line(value: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"train.{next(iter(value))}"):
        TrainConfig(**value)  # type: ignore[arg-type]


def test_a_resumed_training_ends_with_the_same_bytes(patches: Path, teacher: Path, tmp_path: Path) -> None:
    config = tiny_config(patches, train={"epochs": 3, "augment": "dihedral", "teachers": (str(teacher),), **ALL})
    train_stage(config, tmp_path / "whole", "resnet8")
    with pytest.raises(Killed):
        train_stage(config, tmp_path / "cut", "resnet8", listener=Killer(6))
    torch.rand(7)
    train_stage(config, tmp_path / "cut", "resnet8", resume=True)
    for file in ("model.safetensors", "train/metrics.jsonl"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
    plain = evaluate_stage(tmp_path / "whole")
    turned = evaluate_stage(tmp_path / "whole", tta=True)
    assert turned.macs == 8 * plain.macs and turned.turns and not plain.turns
    assert len(plain.classes) == CLASSES


def test_a_network_learns_by_all_of_it(patches: Path, teacher: Path, tmp_path: Path) -> None:
    config = tiny_config(
        patches, train={"epochs": 12, "teachers": (str(teacher),), **ALL, "mixup": 0.1, "ema_decay": 0.5}
    )
    train_stage(config, tmp_path / "run", "resnet8")
    assert evaluate_stage(tmp_path / "run", tta=False).measures.oa > 0.8  # chance is 0.33


def test_what_is_kept_is_the_average(patches: Path, tmp_path: Path) -> None:
    """Without an average, a training of the same seed ends elsewhere; its last weights are not what is kept."""
    for average in (0.0, 0.5):
        config = tiny_config(patches, train={"epochs": 1, "ema_decay": average})
        train_stage(config, tmp_path / f"{average}", "resnet8")
    kept = [load(tmp_path / f"{average}").state_dict() for average in (0.0, 0.5)]
    assert not all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])
