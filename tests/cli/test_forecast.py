"""The default recipe says before it begins how long it takes, and what `quick` takes, in closed form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compactnas.cli import forecast as cli_forecast
from compactnas.cli.commands import run as run_command
from compactnas.cli.options import parse
from compactnas.config import RunConfig
from compactnas.data import Dataset
from compactnas.studies import forecast as estimates
from compactnas.studies.estimating import Shape, Step

PATCHES = 1280
"""Ten batches of 64 in each half, and twenty in the whole."""


@pytest.fixture
def data() -> Dataset:
    labels = np.arange(PATCHES) % 5
    return Dataset.from_arrays(np.zeros((PATCHES, 3, 8, 8), np.float32), labels)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Shape]:
    """Let a step of the search take 2 s and one of the training 1 s; list what is measured."""
    seen: list[Shape] = []

    def measure(shapes: list[Shape]) -> list[Step]:
        seen.extend(shapes)
        return [Step(2.0 if shape.spec is None else 1.0, 0.1) for shape in shapes]

    monkeypatch.setattr(estimates, "measure_steps", measure)
    return seen


def options(*words: str) -> tuple[Any, RunConfig]:
    return parse(run_command.build, [*words, "--search.batch_size", "64", "--train.batch_size", "64", "-o", "unused"])


def test_both_estimates_are_steps_times_seconds(data: Dataset, measured: list[Shape]) -> None:
    _, config = options()
    run, quick = estimates.forecast(config, data, retrain=True)
    assert run == {"search": 105 * 10 * 2.0, "train": 105 * 20 * 1.0}
    passes = 64  # over D_V, to measure networks
    assert quick == pytest.approx({"search": (25 * 10 + passes * 10 / 3) * 2.0, "train": 30 * 20 * 1.0})
    assert [shape.spec is None for shape in measured] == [True, True, False]
    assert [shape.config.search.strategy for shape in measured] == ["gdas", "effects", "gdas"]
    assert {(shape.bands, shape.classes, shape.patch_px) for shape in measured} == {(3, 5, 8)}


def test_epochs_that_the_user_set_stay(data: Dataset, measured: list[Shape]) -> None:
    _, config = options("--search.epochs", "7", "--search.sampled-inputs", "2")
    run, quick = estimates.forecast(config, data, retrain=True)
    assert {shape.config.search.strategy for shape in measured} == {"gdas"}  # `effects` has no such option
    assert len(measured) == 2  # one search for both estimates, and the training
    assert run["search"] == quick["search"] == 7 * 10 * 2.0
    assert quick["train"] < run["train"]


def test_a_search_alone_measures_no_training(data: Dataset, measured: list[Shape]) -> None:
    _, config = options()
    run, _ = estimates.forecast(config, data, retrain=False)
    assert run == {"search": 2100.0}
    assert len(measured) == 2


def test_the_line_names_times_stages_and_the_quick_recipe(
    data: Dataset, measured: list[Shape], capsys: pytest.CaptureFixture[str]
) -> None:
    given, config = options()
    cli_forecast.announce(given, config, data, retrain=True)
    first, line = capsys.readouterr().err.splitlines()
    assert first == "recipe paper: timing a few steps ..."
    assert line == (
        "recipe paper: about 70 min on this machine (search 35 min, training 35 min; from 3 steps of each); "
        "--recipe quick takes about 25 min"
    )


@pytest.mark.parametrize(
    "words",
    ["--recipe quick", "--resume", "--max-steps 5", "--search.epochs 20 --train.epochs 20"],
)
def test_nothing_is_measured_without_need(
    data: Dataset, measured: list[Shape], capsys: pytest.CaptureFixture[str], words: str
) -> None:
    """20 epochs of 10 and 20 steps are 600, fewer than 1,000."""
    given, config = options(*words.split())
    cli_forecast.announce(given, config, data, retrain=True)
    assert capsys.readouterr().err == ""
    assert measured == []


def test_a_run_on_several_devices_is_not_measured(data: Dataset, measured: list[Shape]) -> None:
    given, config = options()
    shared = replace(config, machine=replace(config.machine, devices=2))
    cli_forecast.announce(given, shared, data, retrain=True)
    assert measured == []


def test_a_failed_measurement_does_not_stop_the_run(
    data: Dataset, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(shapes: list[Shape]) -> list[Step]:
        raise RuntimeError("CUDA out of memory\nand more")

    monkeypatch.setattr(estimates, "measure_steps", fail)
    given, config = options()
    cli_forecast.announce(given, config, data, retrain=True)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "recipe paper: time unknown, its steps could not be measured (CUDA out of memory)"


def test_the_command_says_it_before_the_run_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    np.savez(tmp_path / "p.npz", images=np.zeros((40, 3, 8, 8), np.float32), labels=np.arange(40) % 2)
    monkeypatch.setattr(cli_forecast, "announce", lambda *_, **__: order.append("announced"))

    def begin(*_: object, **__: object) -> None:
        order.append("began")
        raise RuntimeError("far enough")

    monkeypatch.setattr("compactnas.pipeline.running.run", begin)
    with pytest.raises(RuntimeError, match="far enough"):
        run_command.main(f"--data.path {tmp_path}/p.npz --data.split random -o {tmp_path}/run".split())
    assert order == ["announced", "began"]
