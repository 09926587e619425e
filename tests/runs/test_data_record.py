"""A run finds its data from any folder, and refuses to go on with other data."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.killing import TRAINING
from support.tiny import Killed, tiny_config, write_patches

from compactnas.cli import main
from compactnas.data import open_dataset
from compactnas.errors import UserError
from compactnas.runs.folder import read_config, start


def train(data: str, folder: str, *more: str) -> int:
    words = ["train", "--model", "resnet8", "--recipe", "paper", "--data.path", data, "--output", folder]
    return main([*words, *TRAINING.split(), "--train.epochs", "1", *more])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with patches and a trained run, made by relative paths from inside."""
    project = tmp_path / "project"
    project.mkdir()
    write_patches(project / "patches.npz")
    monkeypatch.chdir(project)
    assert train("patches.npz", "run") == 0
    return project


def test_a_run_finds_its_data_from_another_folder_and_after_a_move(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read_config(project / "run").data.path == str(project / "patches.npz")
    monkeypatch.chdir(project.parent)
    assert main(["evaluate", "project/run"]) == 0
    project.rename("elsewhere")
    assert main(["evaluate", "elsewhere/run"]) == 0
    assert train("elsewhere/patches.npz", "elsewhere/run", "--resume") == 0
    Path("elsewhere/patches.npz").unlink()
    capsys.readouterr()
    assert main(["evaluate", "elsewhere/run"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{project}/patches.npz does not exist, nor " in line and "elsewhere/run/../patches.npz" in line
    shutil.copytree("elsewhere", project)
    assert main(["evaluate", "project/run"]) == 2


@pytest.mark.parametrize("at", ["environment.json", "data_fingerprint.json", "config.yaml"])
def test_a_run_killed_in_its_first_files_keeps_its_record(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(write_patches(tmp_path / "patches.npz"))
    data = open_dataset(config.data)
    replace = os.replace

    def die(path: Path, target: Path, **folders: int) -> None:
        if Path(target).name == at:
            raise Killed
        replace(path, target, **folders)

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(Killed):
        start(tmp_path / "run", config, data, resume=False, stage="train")
    monkeypatch.undo()
    start(tmp_path / "run", config, data, resume=True, stage="train")
    for name in ("environment.json", "data_fingerprint.json", "config.yaml"):
        assert (tmp_path / "run" / name).exists(), name


def test_resuming_with_other_data_is_refused_and_other_versions_are_told(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load("patches.npz") as arrays:
        content = dict(arrays)
    before = Path("patches.npz").read_bytes()
    content["images"] = content["images"] + np.float32(1)
    np.savez("patches.npz", **content)
    capsys.readouterr()
    assert train("patches.npz", "run", "--resume") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "its data" in line and "has changed since the run began" in line
    Path("patches.npz").write_bytes(before)
    environment = json.loads(Path("run/environment.json").read_text())
    Path("run/environment.json").write_text(json.dumps(environment | {"torch": "2.0.0"}))
    assert train("patches.npz", "run", "--resume") == 0
    assert "started with torch 2.0.0 (now " in capsys.readouterr().err
    (warning,) = [w for w in json.loads(Path("run/warnings.json").read_text()) if "torch 2.0.0" in w]
    assert warning.startswith("run: started with")


def test_a_broken_record_is_one_line(project: Path) -> None:
    Path("run/data_fingerprint.json").write_text('{"other": 1}')
    with pytest.raises(UserError, match=r"run/data_fingerprint\.json: not a record of data; remove it"):
        read_config(Path("run"))
