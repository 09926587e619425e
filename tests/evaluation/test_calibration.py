"""Calibration against plain computations, and on networks that are made too confident on purpose."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from support.hostile import refused

import compactnas as cn
from compactnas.cli import main
from compactnas.evaluation.calibration import (
    COOLEST,
    Reliability,
    fit_temperature,
    negative_log_likelihood,
    reliability_of_logits,
)
from compactnas.runs.temperature import FILE, Temperature


def plain_ece(confidence: NDArray[np.float64], right: NDArray[np.bool_], bins: int) -> float:
    """Expected calibration error as its paper writes it: bins (low, high], one after the other."""
    total = 0.0
    for low in range(bins):
        inside = (confidence > low / bins) & (confidence <= (low + 1) / bins)
        if low == 0:
            inside |= confidence == 0
        if inside.any():
            total += inside.sum() * abs(confidence[inside].mean() - right[inside].mean())
    return total / len(confidence)


@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=60), st.sampled_from([1, 10, 15])
)
def test_ece_is_that_of_a_loop_over_bins(pairs: list[tuple[float, bool]], bins: int) -> None:
    confidence, right = np.array([p for p, _ in pairs]), np.array([hit for _, hit in pairs])
    edges = np.abs(confidence * bins - np.round(confidence * bins)) < 1e-9
    confidence = np.where(edges, np.round(confidence * bins) / bins, confidence)  # the same rounding of edges in both
    found = Reliability.of(confidence, right, bins)
    assert found.ece == pytest.approx(plain_ece(confidence, right, bins), abs=1e-9)
    assert sum(found.patches) == len(pairs)


def test_ece_by_hand() -> None:
    found = Reliability.of(np.array([0.95, 0.95, 0.55, 0.65]), np.array([True, False, True, True]), bins=10)
    assert found.ece == pytest.approx((2 * 0.45 + 0.45 + 0.35) / 4)
    assert found.mean_confidence == pytest.approx(0.775)


def drawn(temperature: float, n: int = 4000, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Labels drawn from the softmax of logits that are then multiplied by a temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, 5))
    noise = rng.gumbel(size=logits.shape)
    return (logits * temperature).astype(np.float32), (logits + noise).argmax(axis=1).astype(np.int64)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_logits_is_found(temperature: float) -> None:
    logits, labels = drawn(temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_the_temperature_has_the_least_likelihood_of_a_grid() -> None:
    logits, labels = drawn(2.0, n=300)
    found = fit_temperature(logits, labels)
    grid = [negative_log_likelihood(logits, labels, t) for t in np.linspace(0.5, 5, 300)]
    assert negative_log_likelihood(logits, labels, found) <= min(grid) + 1e-9


def test_a_network_that_is_always_right_stops_at_the_limit() -> None:
    logits = np.eye(4, dtype=np.float32)
    assert fit_temperature(logits, np.arange(4)) == pytest.approx(COOLEST, rel=1e-3)


def test_an_overconfident_network_gets_a_small_error() -> None:
    logits, labels = drawn(4.0)
    before = reliability_of_logits(logits, labels).ece
    after = reliability_of_logits(logits / fit_temperature(logits, labels), labels).ece
    assert before > 0.15
    assert after < 0.03


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run whose last layer is then multiplied by 8."""
    folder = tmp_path_factory.mktemp("calibration")
    rng, labels = np.random.default_rng(0), np.arange(240) % 3
    images = rng.normal(0.5 * labels[:, None, None, None], 1, (240, 2, 8, 8)).astype(np.float32)
    flipped = np.where(rng.random(240) < 0.3, rng.integers(0, 3, 240), labels)
    np.savez(folder / "patches.npz", images=images, labels=flipped)
    words = f"train --model resnet8 --data.path {folder}/patches.npz --data.split random --data.validation_fraction 0.4"
    assert main([*words.split(), "--train.epochs", "2", "-o", str(folder / "run")]) == 0
    file = folder / "run" / "model.safetensors"
    tensors = load_file(file)
    save_file({name: 8 * t if name.startswith("head.") else t for name, t in tensors.items()}, file)
    return folder / "run"


def test_a_fitted_temperature_is_used_wherever_the_run_is_loaded(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), "--part", "validation", "--json"]) == 0
    before = json.loads(capsys.readouterr().out)
    assert main(["evaluate", str(run), "--part", "validation", "--temperature", "--json"]) == 0
    captured = capsys.readouterr()
    after = json.loads(captured.out)
    assert "the network was too confident" in captured.err
    found = Temperature.read(run)
    assert found is not None and found.temperature > 2
    assert after["confusion"] == before["confusion"]
    assert after["reliability"]["ece"] < 0.5 * before["reliability"]["ece"]
    assert found.ece_before == pytest.approx(before["reliability"]["ece"], abs=1e-5)
    assert found.ece_after == pytest.approx(after["reliability"]["ece"], abs=1e-5)
    assert json.loads((run / "evaluation.json").read_text())["reliability"] == after["reliability"]
    x = torch.rand(5, 2, 8, 8)
    with torch.inference_mode():
        plain, divided = cn.load(run, calibrated=False)(x), cn.load(run)(x)
    torch.testing.assert_close(divided * found.temperature, plain)
    again = (run / FILE).read_bytes()
    assert main(["evaluate", str(run), "--temperature"]) == 0  # not fitted on top of itself
    assert (run / FILE).read_bytes() == again
    capsys.readouterr()


def test_an_export_has_the_temperature(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the `export` extra is not installed")
    pytest.importorskip("onnxscript", reason="the `export` extra is not installed")
    from compactnas.exporting.engines import open_engine

    Temperature(2.5, "validation", 10, 0.2, 0.1).write(run)
    assert main(["export", str(run), "--without-data", "-o", str(tmp_path / "export")]) == 0
    x = torch.rand(4, 2, 8, 8)
    with torch.inference_mode():
        expected = (cn.load(run, calibrated=False)(x) / 2.5).softmax(dim=1).numpy()
    assert "the temperature 2.5" in (tmp_path / "export" / "README.md").read_text()
    for engine in ("onnx", "torch"):
        found = open_engine(tmp_path / "export", engine).probabilities(x.numpy())
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_training_removes_the_temperature_of_older_weights(run: Path, tmp_path: Path) -> None:
    from compactnas.nn.registry import ModelSpec
    from compactnas.runs.folder import save_model

    Temperature(2.5, "validation", 10, 0.2, 0.1).write(tmp_path)
    save_model(tmp_path, ModelSpec.read(run), cn.load(run))
    assert Temperature.read(tmp_path) is None


@pytest.mark.parametrize("change", [{"temperature": "x"}, {"temperature": -1}, {"temperature": None}, {"patches": {}}])
def test_a_damaged_temperature_is_one_line(
    run: Path, tmp_path: Path, change: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    for file in run.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    whole = {"temperature": 1, "part": "test", "patches": 1, "ece_before": 0, "ece_after": 0}
    (tmp_path / FILE).write_text(json.dumps(whole | change))
    assert FILE in refused(tmp_path, capsys, "evaluate", str(tmp_path))


def test_what_cannot_be_calibrated_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = np.arange(60) % 3
    images = np.random.default_rng(0).normal(0, 1, (60, 2, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "patches.npz", images=images, labels=labels)
    words = f"--data.path {tmp_path}/patches.npz --data.split random --train.epochs 1"
    for model in ("resnet8", "sen2lcz_mf"):
        assert main(f"train --model {model} {words} -o {tmp_path / model}".split()) == 0
    capsys.readouterr()
    assert "--data.validation-fraction" in refused(
        tmp_path, capsys, "evaluate", str(tmp_path / "resnet8"), "--temperature"
    )
    assert "four heads" in refused(tmp_path, capsys, "evaluate", str(tmp_path / "sen2lcz_mf"), "--temperature")
