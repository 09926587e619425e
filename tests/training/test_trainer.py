"""Training, evaluation, and what a run folder holds."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny import CLASSES, Killed, Killer, tiny_config, write_patches

from compactnas.config import DataConfig
from compactnas.errors import UserError
from compactnas.nn.baselines import BASELINES
from compactnas.pipeline.evaluating import evaluate_stage, predict
from compactnas.pipeline.running import run, train_stage
from compactnas.runs.checkpoints import PATTERN
from compactnas.runs.folder import load, read_config
from compactnas.space.genotype import Genotype

FOUND = Genotype(
    ((("sep_conv_3x3", 0),), (("skip_connect", 0), ("max_pool_3x3", 1)), (("dil_conv_5x5", 2),)), (1, 2, 1), 4
)


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patches(tmp_path_factory.mktemp("tiny") / "patches.npz")


@pytest.fixture(scope="module")
def genotype(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("genotype") / "genotype.json"
    file.write_text(FOUND.to_json())
    return str(file)


@pytest.fixture(scope="module")
def baseline(patches: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained ResNet-8; tests that change the run do so in a copy."""
    folder = tmp_path_factory.mktemp("baseline") / "run"
    train_stage(tiny_config(patches, train={"epochs": 1}), folder, "resnet8")
    return folder


@pytest.mark.parametrize("model", ["resnet8", "sen2lcz_mf"])
def test_baselines_train_under_the_same_loop(patches: Path, tmp_path: Path, model: str) -> None:
    config = tiny_config(patches, train={"epochs": 1})
    train_stage(config, tmp_path / "run", model)
    evaluation = evaluate_stage(tmp_path / "run")
    assert evaluation.model == model and evaluation.n == 24
    assert model in BASELINES


def test_a_network_learns_and_is_loaded_as_it_was(patches: Path, tmp_path: Path, genotype: str) -> None:
    config = tiny_config(patches, train={"epochs": 12})
    train_stage(config, tmp_path / "run", genotype)
    evaluation = evaluate_stage(tmp_path / "run")
    assert evaluation.measures.oa > 0.9  # chance is 0.33
    network = load(tmp_path / "run")
    data = np.load(patches)
    rows = np.flatnonzero(data["split"] == "test")
    with torch.inference_mode():
        predicted = network(torch.from_numpy(data["images"][rows])).argmax(-1).numpy()
    assert np.mean(predicted == data["labels"][rows]) == pytest.approx(evaluation.measures.oa)
    assert evaluation.confusion.sum() == len(rows)
    written = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert written["measures"]["oa"] == evaluation.measures.oa and written["depths"] == [1, 2, 1]


@pytest.mark.parametrize("optimizer", ["sgd", "nadam"])
@pytest.mark.parametrize("model", ["genotype", "sen2lcz"])  # one with dropout: its draws are part of the state
def test_a_resumed_training_ends_with_the_same_bytes(
    patches: Path, tmp_path: Path, genotype: str, optimizer: str, model: str
) -> None:
    config = tiny_config(
        patches, train={"epochs": 3, "optimizer": optimizer, "augment": "dihedral", "learning_rate": 0.002}
    )
    name = genotype if model == "genotype" else model
    train_stage(config, tmp_path / "whole", name)

    with pytest.raises(Killed):
        train_stage(config, tmp_path / "cut", name, listener=Killer(6))
    torch.rand(7)  # another process would be elsewhere in its draws
    train_stage(config, tmp_path / "cut", name, resume=True)
    for file in ("model.safetensors", "model.json", "train/metrics.jsonl", "splits.npz"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file


def test_run_is_search_training_and_evaluation_in_one_folder(patches: Path, tmp_path: Path) -> None:
    config = tiny_config(patches)
    evaluation = run(config, tmp_path / "run")
    assert evaluation.model == "genotype"
    names = {str(f.relative_to(tmp_path / "run")) for f in (tmp_path / "run").rglob("*") if f.is_file()}
    expected = "config.yaml environment.json evaluation.json genotype.json model.json model.safetensors "
    expected += "normalisation.json splits.npz search/alpha.json search/metrics.jsonl train/metrics.jsonl"
    assert set(expected.split()) <= names
    assert not [name for name in names if name.endswith(".part")]
    assert read_config(tmp_path / "run") == config
    again = run(config, tmp_path / "run", resume=True)
    assert np.array_equal(again.confusion, evaluation.confusion)


def test_normalisation_is_of_the_training_part_alone(patches: Path, baseline: Path) -> None:
    data = np.load(patches)
    pixels = data["images"][data["split"] == "train"].astype(np.float64)
    network = load(baseline)
    np.testing.assert_allclose(network.normalise.mean.flatten(), pixels.mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(network.normalise.std.flatten(), pixels.std((0, 2, 3)), rtol=1e-5)


def test_predictions_are_a_row_a_patch(patches: Path, baseline: Path, tmp_path: Path) -> None:
    assert predict(baseline, DataConfig(path=str(patches)), tmp_path / "out.csv") == 96
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "row,key,class,name,probability" and len(lines) == 97
    assert all(0 <= int(line.split(",")[2]) < CLASSES for line in lines[1:])


def test_a_random_cell_needs_to_know_what_it_should_cost(patches: Path, tmp_path: Path, genotype: str) -> None:
    config = tiny_config(patches, train={"epochs": 1})
    with pytest.raises(UserError, match=r"needs a genotype whose cost.*pass it as `like`"):
        train_stage(config, tmp_path / "run", "random")
    assert not (tmp_path / "run").exists()
    train_stage(config, tmp_path / "run", "random", like=genotype)
    assert Genotype.load(tmp_path / "run") != FOUND


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "model.json").unlink(), r"model\.json: .*compactnas train"),
        (lambda f: (f / "model.safetensors").unlink(), r"safetensors: .*compactnas train"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x" * 100), "not the weights"),
        (lambda f: (f / "model.json").write_text("[1, 2"), "not JSON"),
        (lambda f: (f / "model.json").write_text('{"name": "resnet8"}'), "not a model's description"),
        (lambda f: (f / "config.yaml").write_text("data: 5"), "not a run's config"),
    ],
)
def test_a_broken_run_folder_is_one_line(baseline: Path, tmp_path: Path, damage: object, message: str) -> None:
    shutil.copytree(baseline, tmp_path / "run")
    damage(tmp_path / "run")  # type: ignore[operator]
    with pytest.raises(UserError, match=message) as caught:
        evaluate_stage(tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_a_model_of_other_bands_or_classes_is_one_line(patches: Path, baseline: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.npz"
    data = dict(np.load(patches))
    np.savez(other, images=data["images"][:, :2], labels=data["labels"], split=data["split"])
    with pytest.raises(UserError, match=r"2 bands .* but the model takes 4"):
        evaluate_stage(baseline, config=DataConfig(path=str(other)))


def test_data_that_has_moved_is_named_with_what_to_do(
    patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(patches, train={"epochs": 1})
    copy = Path(shutil.copy(patches, tmp_path / "copy.npz"))
    monkeypatch.chdir(tmp_path)
    config = replace(config, data=replace(config.data, path=copy.name))
    train_stage(config, tmp_path / "run", "resnet8")
    evaluate_stage(tmp_path / "run")
    copy.unlink()
    told = r"run: its data .*copy\.npz does not exist.*; if the data has moved, pass --data\.path"
    with pytest.raises(UserError, match=told):
        evaluate_stage(tmp_path / "run")
    with pytest.raises(UserError, match=told):
        predict(tmp_path / "run", config.data, tmp_path / "out.csv")
    assert evaluate_stage(tmp_path / "run", config=replace(config.data, path=str(patches))).n == 24


def test_another_model_is_not_resumed(patches: Path, tmp_path: Path) -> None:
    config = tiny_config(patches, train={"epochs": 1})
    train_stage(config, tmp_path / "run", "resnet8")
    with pytest.raises(UserError, match="this folder holds the training of another network"):
        train_stage(config, tmp_path / "run", "sen2lcz", resume=True)
    (checkpoint,) = (tmp_path / "run" / "train").glob(PATTERN)
    checkpoint.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(UserError, match="not a checkpoint of compactnas"):
        train_stage(config, tmp_path / "run", "resnet8", resume=True)


def test_a_checkpoint_executes_nothing(patches: Path, tmp_path: Path) -> None:
    import pickle

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (str(tmp_path / "bang"),))

    config = tiny_config(patches, train={"epochs": 1})
    train_stage(config, tmp_path / "run", "resnet8")
    (checkpoint,) = (tmp_path / "run" / "train").glob(PATTERN)
    checkpoint.write_bytes(pickle.dumps(Bomb(), protocol=2))
    with pytest.raises(UserError, match="not a checkpoint of compactnas"):
        train_stage(replace(config), tmp_path / "run", "resnet8", resume=True)
    assert not (tmp_path / "bang").exists()
