"""Run folders, configs and studies made hostile on purpose, given to the command: as `test_hostile.py`."""

from __future__ import annotations

import json
import pickle
import struct
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save
from support.fake_run import write_run
from support.hostile import MARKER, TRILLION, Trap, refused
from support.tiny import tiny_config, write_patches

from compactnas.errors import UserError
from compactnas.nn.registry import ModelSpec, build
from compactnas.pipeline.running import search_stage
from compactnas.runs.checkpoints import load_checkpoint
from compactnas.runs.folder import config_values, save_model
from compactnas.space.genotype import Genotype

# A run's folder


def run_folder(where: Path) -> Path:
    spec = ModelSpec("genotype", 4, 3, 8, Genotype(((("skip_connect", 0),),), (1,), channels=4))
    data = write_patches(where / "tiny.npz")
    run = where / "run"
    run.mkdir()
    save_model(run, spec, build(spec))
    (run / "config.yaml").write_text(yaml.safe_dump(config_values(tiny_config(data))))
    return run


def spec_with(**changes: object) -> Callable[[Path], object]:
    def change(run: Path) -> None:
        file = run / "model.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


def weights(content: Callable[[Path], bytes]) -> Callable[[Path], object]:
    return lambda run: (run / "model.safetensors").write_bytes(content(run))


def claimed(length: int, header: object) -> Callable[[Path], object]:
    text = json.dumps(header).encode()
    return weights(lambda run: struct.pack("<Q", length or len(text)) + text)


def torch_pickle(run: Path) -> bytes:
    buffer = BytesIO()
    torch.save({"a": Trap(run.parent)}, buffer)
    return buffer.getvalue()


def sparse(run: Path) -> None:
    with (run / "model.safetensors").open("r+b") as file:
        file.truncate(TRILLION)


WEIGHT = {"dtype": "F32", "shape": [TRILLION], "data_offsets": [0, 4 * TRILLION]}
RUNS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pickle for weights": (weights(lambda run: pickle.dumps(Trap(run.parent))), "not the weights of"),
    "torch's pickle for weights": (weights(torch_pickle), "not the weights of"),
    "a header without end": (claimed(TRILLION, {}), "not the weights of"),
    "a weight without end": (claimed(0, {"a": WEIGHT}), "not the weights of"),
    "weights without end": (sparse, "is larger than the weights of"),
    "weights of another kind": (
        weights(lambda run: save({"a": torch.zeros(3)})),
        "'a' has an unexpected name or dtype",
    ),
    "bands without end": (spec_with(bands=TRILLION), "bands = 1000000000000 is outside 1 to 1024"),
    "classes without end": (spec_with(classes=TRILLION), "classes = 1000000000000 is outside"),
    "a path for a model": (spec_with(name="../../resnet8", genotype=None), "'../../resnet8' is unknown"),
}


@pytest.mark.parametrize("kind", RUNS)
def test_a_trained_run(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_folder(tmp_path)
    change, message = RUNS[kind]
    change(run)
    assert message in refused(tmp_path, capsys, "predict", str(run), "--output", str(tmp_path / "classes.csv"))


def test_a_checkpoint_that_is_a_pickle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tiny_config(write_patches(tmp_path / "tiny.npz"), space={"nodes": 2, "blocks": 1})
    search_stage(config, tmp_path / "run")
    (tmp_path / "run" / "genotype.json").unlink()
    files = sorted((tmp_path / "run" / "search").glob("checkpoint-*.pt"))
    assert files
    for file in files:
        buffer = BytesIO()
        torch.save({"rows": [], "step": 1, "state": Trap(tmp_path)}, buffer)
        file.write_bytes(buffer.getvalue())
        with pytest.raises(UserError, match="not a checkpoint of compactnas"):
            load_checkpoint(file)
    line = refused(tmp_path, capsys, "search", "--resume", "--output", str(tmp_path / "run"))
    assert "not a checkpoint of compactnas" in line


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_checkpoint_that_is_a_bare_pickle(protocol: int, tmp_path: Path) -> None:
    (tmp_path / "checkpoint-1.pt").write_bytes(pickle.dumps(Trap(tmp_path), protocol))
    with pytest.raises(UserError, match="not a checkpoint of compactnas"):
        load_checkpoint(tmp_path / "checkpoint-1.pt")
    assert not (tmp_path / MARKER).exists()


# Configs

LAUGHS = "a0: &a0 [lol, lol, lol]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 12))
INSIDE = "{" + LAUGHS.strip().replace("\n", ", ") + "}"
CONFIGS = {
    "a billion laughs": (LAUGHS, "*a0 is an alias; write out what it repeats"),
    "a billion merges": (MERGES, "*a0 is an alias"),
    "laughs in a text": (yaml.safe_dump({"data": {"bands": INSIDE}}), "is not a valid value"),
    "laughs in a path": (yaml.safe_dump({"data": {"path": INSIDE}}), "is not a valid value"),
    "a Python object": ("seed: !!python/object/apply:os.mkdir [sprung]\n", "could not determine a constructor"),
    "a class to import": ("data: {class_path: hostile_module.Data}\n", "class_path: a config cannot name a class"),
    "a class in a text": ("data: hostile_module.Data\n", "data: expected names and values"),
    "a class inside": ("data: {bands: [{class_path: hostile_module.Data}]}\n", "a config cannot name a class"),
    "another file": ("search: /etc/passwd\n", "search: expected names and values"),
    "nesting": ("seed: " + "[" * 3000, "nested too deeply"),
    "a file without end": ("#" * 2**20, "is larger than 0.25 MiB"),
    "a number without end": ("machine: {threads: " + "9" * 5000 + "}", "digits"),
    "processors without end": (f"machine: {{devices: {TRILLION}}}", "1000000000000 is more than 4096"),
    "nodes without end": (f"space: {{nodes: {TRILLION}}}", "1000000000000 is outside 1 to 16"),
    "channels without end": (f"space: {{channels: {TRILLION}}}", "1000000000000 is outside 1 to 1024"),
    "tags of other types": ("seed: !!timestamp 2001-99-99\n", "not YAML"),
}


@pytest.fixture
def hostile_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that makes the marker where it is imported."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "hostile_module.py").write_text(f"import os\nos.mkdir({str(tmp_path / MARKER)!r})\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "modules"), *sys.path])
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("hostile_module")
@pytest.mark.parametrize("kind", CONFIGS)
def test_a_config(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, message = CONFIGS[kind]
    run = run_folder(tmp_path)
    (run / "config.yaml").write_text(content)
    assert message in refused(tmp_path, capsys, "evaluate", str(run))
    given = ["--config", str(run / "config.yaml"), "--output", str(tmp_path / "out")]
    said = refused(tmp_path, capsys, "search", *given)
    assert str(run / "config.yaml") in said
    assert message in said.replace(f" in {run / 'config.yaml'}", "")
    assert message in refused(tmp_path, capsys, "study", str(run / "config.yaml"), "--output", str(tmp_path / "out"))


@pytest.mark.usefixtures("hostile_module")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"searches: {TRILLION}\n", "give fewer, for at most 10000 jobs"),
        (
            "splits: {own: {split: random, bands: [{class_path: hostile_module.Data}]}}\n",
            "a config cannot name a class",
        ),
        (yaml.safe_dump({"splits": {"own": {"path": INSIDE}}}), "is not a valid value"),
        ("recipe: [paper]\n", "recipe ['paper'] is unknown"),
    ],
)
def test_a_study(content: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "study.yaml").write_text(content)
    assert message in refused(
        tmp_path, capsys, "study", str(tmp_path / "study.yaml"), "--output", str(tmp_path / "out")
    )


@pytest.mark.usefixtures("hostile_module")
@pytest.mark.parametrize("option", ["--config", "--data", "--config="])
def test_a_file_of_options(option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "some.yaml").write_text("class_path: hostile_module.Data\n")
    words = [option + str(tmp_path / "some.yaml")] if "=" in option else [option, str(tmp_path / "some.yaml")]
    assert "cannot name a class" in refused(tmp_path, capsys, "search", *words, "--output", str(tmp_path / "out"))
    (tmp_path / "some.yaml").write_text(f"config: {tmp_path / 'some.yaml'}\n")
    if option != "--data":
        assert "cannot name another" in refused(tmp_path, capsys, "search", *words, "--output", str(tmp_path / "out"))


def test_the_report_of_a_run_whose_config_laughs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", epochs=2)
    (run / "config.yaml").write_text(LAUGHS)
    line = refused(tmp_path, capsys, "report", str(run), "--output", str(tmp_path / "report.html"))
    assert "is an alias" in line
