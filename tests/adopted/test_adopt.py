"""Networks of others: adopted, they map, teach and are measured, with the numbers of a plain computation."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.foreign import (
    BANDS,
    MACS,
    OPTIONS,
    SIDE,
    WEIGHTS,
    foreign_probabilities,
    graph_of,
    means,
    node,
    save_with_torch,
    write_foreign,
)
from support.map_files import BANDS as SCENE_BANDS
from support.map_files import job, numbers, read_map, write_scene
from support.tiny import Killed, Killer, tiny_config
from torch import Tensor, nn

from compactnas.adopted.network import open_adopted
from compactnas.adopted.operations import OPERATIONS
from compactnas.cli import main
from compactnas.data import open_dataset
from compactnas.lcz import NAMES
from compactnas.pipeline.running import train_stage
from compactnas.training.distillation import predict_by_teachers

onnx = pytest.importorskip("onnx", reason="the `export` extra is not installed")
pytest.importorskip("onnxruntime", reason="the `export` extra is not installed")

FOUR = ("--bands", "B02,B03,B04,B08", "--classes", "a,b,c,d", "--scale", "1")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    """Folder of the adopted network, and the network itself."""
    home = tmp_path_factory.mktemp("foreign")
    network = write_foreign(home / "theirs.onnx")
    assert main(["adopt", str(home / "theirs.onnx"), "-o", str(home / "theirs"), *OPTIONS, "--pixel-m", "10"]) == 0
    return home / "theirs", network


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patches whose bands and classes are in another order than the network's; one band is of no use to it."""
    file, rng = tmp_path_factory.mktemp("data") / "patches.npz", np.random.default_rng(1)
    images = rng.uniform(0, 0.4, (102, 5, 1, 1)) * rng.uniform(0.8, 1.2, (102, 5, SIDE, SIDE))
    np.savez(
        file,
        images=images.astype(np.float32),
        labels=np.arange(102) % 17,
        band_names=["B02", "B03", "B11", "B04", "B08"],
        class_names=NAMES[::-1],
        split=np.where(np.arange(102) % 3 == 2, "test", "train"),
    )
    return file


def theirs(images: np.ndarray) -> np.ndarray:
    """Bring the bands of the patches into the network's order."""
    return images[:, [4, 3, 1, 0]]


def adopt(tmp_path: Path, model: Any, *words: str) -> int:
    file = tmp_path / "model.onnx"
    file.write_bytes(model.SerializeToString())
    return main(["adopt", str(file), "-o", str(tmp_path / "theirs"), *words])


def test_a_map_has_the_classes_of_a_plain_computation(foreign: tuple[Path, nn.Module], tmp_path: Path) -> None:
    """Windows by numpy, the network by torch: same classes, same probabilities."""
    folder, network = foreign
    pixels = numbers(52, 64)
    scene = write_scene(tmp_path / "city.tif", pixels)
    assert main(["map", str(folder), str(scene), "-o", str(tmp_path / "map"), "--edges", "leave"]) == 0
    taken = pixels[[SCENE_BANDS.index(band) for band in BANDS]] / np.float32(10_000)
    rows, columns = (range(0, side - SIDE + 1, 10) for side in taken.shape[1:])
    windows = np.stack([taken[:, row : row + SIDE, column : column + SIDE] for row in rows for column in columns])
    expected = foreign_probabilities(network, windows).reshape(len(rows), len(columns), -1)
    found = read_map(tmp_path / "map", "city_lcz.tif")
    assert np.array_equal(found, expected.argmax(axis=-1) + 1)
    assert len(np.unique(found)) > 3
    import rasterio

    with rasterio.open(tmp_path / "map" / "city_probabilities.tif") as raster:
        assert np.abs(raster.read().transpose(1, 2, 0) / 10_000 - expected).max() < 1.5e-4
    about = json.loads((tmp_path / "map" / "map.json").read_text())
    assert about["bands"] == list(BANDS) and about["engine"] == "AdoptedNetwork"
    assert about["config"]["stride_px"] == 10


def test_soft_targets_are_those_of_a_plain_computation(foreign: tuple[Path, nn.Module], patches: Path) -> None:
    folder, network = foreign
    data = open_dataset(tiny_config(patches).data)
    for temperature in (1.0, 3.0):
        found = predict_by_teachers([str(folder)], data, CPU, temperature=temperature)
        assert found is not None
        images = theirs(np.load(patches)["images"])
        turned = [np.rot90(images, turns, (2, 3)) for turns in range(4)]
        turned += [np.flip(image, 3) for image in turned]
        warm = [foreign_probabilities(network, image) ** (1 / temperature) for image in turned]
        expected = np.mean([one / one.sum(1, keepdims=True) for one in warm], axis=0)[:, ::-1]
        rows = data.parts["train"]
        torch.testing.assert_close(found[rows], torch.from_numpy(expected[rows].copy()), atol=2e-6, rtol=1e-4)
        assert not found[data.parts["test"]].any()


def test_a_lesson_that_is_interrupted_ends_the_same(
    foreign: tuple[Path, nn.Module], patches: Path, tmp_path: Path
) -> None:
    taught = {"teachers": (str(foreign[0]),), "teacher_weight": 0.7, "augment": "dihedral"}
    config = tiny_config(patches, train=taught)
    train_stage(config, tmp_path / "whole", "resnet8")
    with pytest.raises(Killed):
        train_stage(config, tmp_path / "twice", "resnet8", listener=Killer(6))
    train_stage(config, tmp_path / "twice", "resnet8", resume=True)
    train_stage(tiny_config(patches, train={"augment": "dihedral"}), tmp_path / "alone", "resnet8")
    whole, twice, alone = ((tmp_path / run / "model.safetensors").read_bytes() for run in ("whole", "twice", "alone"))
    assert whole == twice != alone


def test_it_is_measured_and_predicts(
    foreign: tuple[Path, nn.Module], patches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, network = foreign
    assert main(["evaluate", str(folder), "--data.path", str(patches), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    images, labels = (np.load(patches)[name] for name in ("images", "labels"))
    chosen = foreign_probabilities(network, theirs(images)).argmax(1)
    test = np.arange(102) % 3 == 2
    assert measured["measures"]["oa"] == pytest.approx(float((16 - chosen == labels)[test].mean()))
    assert (measured["macs"], measured["parameters"]) == (MACS, WEIGHTS)
    out = tmp_path / "classes.csv"
    assert main(["predict", str(folder), "--data.path", str(patches), "-o", str(out)]) == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [int(row["class"]) for row in rows] == chosen.tolist()
    assert [row["name"] for row in rows] == [NAMES[place] for place in chosen]
    capsys.readouterr()
    assert main(["evaluate", str(folder)]) == 2 and "name some with --data.path" in capsys.readouterr().err
    assert main(["export", str(folder), "-o", str(tmp_path / "x")]) == 2
    assert "name the folder of a run" in capsys.readouterr().err


class Attention(nn.Module):
    """A small vision transformer with a class token, whose shapes the older exporter computes from each other."""

    def __init__(self) -> None:
        super().__init__()
        self.cut, self.token = nn.Conv2d(4, 16, 4, 4), nn.Parameter(torch.zeros(1, 1, 16))
        self.layer, self.head = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.cut(x).flatten(2).transpose(1, 2)
        return self.head(self.layer(torch.cat([self.token.expand(x.shape[0], -1, -1), parts], 1))[:, 0])


def test_a_transformer_whose_shapes_follow_from_each_other_is_adopted(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Attention().eval()
    save_with_torch(network, tmp_path / "vit.onnx", torch.zeros(2, 4, 8, 8), "x")
    assert main(["adopt", str(tmp_path / "vit.onnx"), "-o", str(tmp_path / "theirs"), *FOUR]) == 0
    opened, images = open_adopted(tmp_path / "theirs"), np.random.default_rng(0).random((300, 4, 8, 8), np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(images)).softmax(-1).numpy()
    assert opened.batch == 256 and np.abs(opened.probabilities(images) - expected).max() < 1e-5


def test_the_documentation_lists_the_operations(repository: Path) -> None:
    page = (repository / "docs" / "export-adopt.md").read_text()
    (listed,) = re.findall(r"```text\n(.*?)```", page, flags=re.DOTALL)
    assert listed.split() == sorted(OPERATIONS)


def test_units_are_converted_once(tmp_path: Path) -> None:
    """A value v becomes (v / scale - offset - mean) / std."""
    words = [*FOUR[:4], "--scale", "0.0001", "--offset", "-1000", "--mean=-5,0,5,10", "--std", "1000,2000,4000,8000"]
    assert adopt(tmp_path, means(), *words) == 0
    images = np.random.default_rng(0).random((3, 4, 8, 8), np.float32)
    std, mean = np.array([1000, 2000, 4000, 8000]), np.array([-5, 0, 5, 10])
    expected = 10 * (images.astype(np.float64).mean((2, 3)) / 0.0001 + 1000 - mean) / std
    opened = open_adopted(tmp_path / "theirs")
    assert opened.scores(images) == pytest.approx(expected, rel=1e-5)
    raised = np.exp(expected - expected.max(1, keepdims=True))
    assert opened.probabilities(images) == pytest.approx(raised / raised.sum(1, keepdims=True), abs=1e-5)
    # Statistics of training in the unit of the data, with which `map` compares a scene.
    assert opened.task.means == pytest.approx((mean - 1000) * 0.0001)
    assert opened.task.deviations == pytest.approx(std * 0.0001)


@pytest.mark.parametrize("form", ["lists", "by band"])
def test_a_file_can_hold_the_normalisation_and_the_classes(form: str, tmp_path: Path) -> None:
    bands, mean, std = "B02,B03,B04,B08".split(","), [0.1, 0.2, 0.3, 0.4], [1.0, 2.0, 3.0, 4.0]
    each = {band: {"mean": m, "std": s} for band, m, s in zip(bands, mean, std, strict=True)}
    (tmp_path / "n.json").write_text(json.dumps({"mean": mean, "std": std} if form == "lists" else each))
    (tmp_path / "c.txt").write_text(
        "\ufeffsea\nBush, scrub\n\ntown \nfield\n" if form == "lists" else '["a","b","c","d"]'
    )
    words = ["--bands", ",".join(bands), "--classes", str(tmp_path / "c.txt"), "--scale", "1"]
    assert adopt(tmp_path, means(), *words, "--normalise", str(tmp_path / "n.json")) == 0
    adopted = open_adopted(tmp_path / "theirs").adoption
    assert (adopted.mean, adopted.std) == (tuple(mean), tuple(std))
    assert adopted.task.classes == (("sea", "Bush, scrub", "town", "field") if form == "lists" else tuple("abcd"))


SHAPES: dict[str, tuple[Callable[[], Any], tuple[str, ...], int]] = {
    "any batch": (means, (), 256),
    "a batch of 3": (lambda: means(given=(3, 4, 8, 8)), (), 3),
    "a batch of 1": (lambda: means(given=(1, 4, 8, 8)), (), 1),
    "any size": (lambda: means(given=("n", 4, "h", "w")), ("--patch-px", "8"), 256),
    "float16": (
        lambda: means(node("Cast", "logits", "scores", to=1), kind=10, ten=np.array(10, np.float16)),
        (),
        256,
    ),
    "a batch of 1 that the input does not tell": (
        lambda: graph_of(
            [
                node("GlobalAveragePool", "x", "p"),
                node("Reshape", "p shape", "flat"),
                node("Mul", "flat ten", "scores"),
            ],
            shape=np.array([1, 4]),
            ten=np.array(10, np.float32),
        ),
        (),
        1,
    ),
    "two outputs": (lambda: means(node("Identity", "logits", "scores"), outputs=("scores", "pooled")),
                    ("--output-name", "scores"), 256),
    "bands or rows": (lambda: means(given=("n", 4, 4, 4)), ("--layout", "nchw"), 256),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_inputs_and_outputs_of_any_shape(name: str, tmp_path: Path) -> None:
    model, words, batch = SHAPES[name]
    assert adopt(tmp_path, model(), *FOUR, *words) == 0
    opened = open_adopted(tmp_path / "theirs")
    images = np.random.default_rng(0).random((7, 4, opened.task.patch_px, opened.task.patch_px), np.float32)
    assert opened.batch == batch
    assert opened.scores(images) == pytest.approx(10 * images.mean((2, 3)), rel=2e-3)
    assert opened.scores(images[:0]).shape == (0, 4)


KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str, str]] = {
    "logits": (("Identity",), (), "logits", "so a softmax is added"),
    "probabilities": (("Softmax",), (), "probabilities", "sum to 1"),
    "logarithms": (("LogSoftmax",), (), "logits", "so a softmax is added"),
    "asked for": (("Softmax",), ("--outputs", "probabilities"), "probabilities", "sum to 1"),
    "two softmaxes": (("Softmax",), ("--outputs", "logits"), "logits", "is --outputs right?"),
    "a sigmoid as logits": (("Sigmoid",), ("--outputs", "logits"), "logits", "a softmax is added"),
}


@pytest.mark.parametrize("name", KINDS)
def test_outputs_become_probabilities(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (last,), words, gives, said = KINDS[name]
    assert adopt(tmp_path, means(node(last, "logits", "scores")), *FOUR, *words) == 0
    assert said in capsys.readouterr().out
    opened = open_adopted(tmp_path / "theirs")
    assert opened.adoption.gives == gives
    images = np.random.default_rng(0).random((5, 4, 8, 8), np.float32)
    logits = torch.from_numpy(10 * images.mean((2, 3)))
    inner = {"Softmax": logits.softmax(-1), "Sigmoid": logits.sigmoid()}.get(last, logits)
    expected = inner if gives == "probabilities" else inner.softmax(-1)
    assert opened.probabilities(images) == pytest.approx(expected.numpy(), abs=1e-6)


def test_half_precision_probabilities_are_kept(tmp_path: Path) -> None:
    half = [node("Softmax", "logits", "p"), node("Cast", "p", "h", to=10), node("Cast", "h", "scores", to=1)]
    assert adopt(tmp_path, means(*half), *FOUR) == 0
    opened = open_adopted(tmp_path / "theirs")
    images = np.random.default_rng(0).random((5, 4, 8, 8), np.float32)
    assert opened.adoption.gives == "probabilities"
    assert opened.probabilities(images).sum(1) == pytest.approx(np.ones(5), abs=2e-3)


def test_a_network_that_gives_nonsense_stops_the_map(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The root of 0.5 - value is a number for made patches, but not for this bright scene."""
    root = means(
        node("Sub", "half flat", "rest"), node("Sqrt", "rest", "root"), node("Add", "root logits", "scores"),
        half=np.array(0.5, np.float32),
    )  # fmt: skip
    assert adopt(tmp_path, root, *FOUR) == 0
    scene = write_scene(tmp_path / "city.tif", numbers(30, 30) + np.uint16(4000))
    capsys.readouterr()
    assert main(["map", str(tmp_path / "theirs"), str(scene), "-o", str(tmp_path / "map")]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "gives NaN or infinite numbers for some windows" in error
    assert not (tmp_path / "map").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"patch_px": 8}, r"has patches of 16 px, but the network takes 8 px"),
        ({"bands": ("B02", "B03", "B04", "B12")}, r"no band 'B12' \(it has B02, B03, B11, B04, B08\)"),
        ({"classes": tuple("abcd")}, "but the network a, b, c, d"),
    ],
)
def test_a_teacher_that_does_not_fit_is_one_line(
    change: dict[str, Any], said: str, patches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"patch_px": 16, "bands": tuple("B02 B03 B04 B08".split()), "classes": NAMES[:4]} | change
    side = given["patch_px"]
    words = ["--bands", ",".join(given["bands"]), "--scale", "1", "--classes", str(tmp_path / "c.txt")]
    (tmp_path / "c.txt").write_text("\n".join(given["classes"]))
    assert adopt(tmp_path, means(given=("n", 4, side, side)), *words) == 0
    capsys.readouterr()
    train = ["train", "--model", "resnet8", "--data.path", str(patches), "-o", str(tmp_path / "run")]
    assert main([*train, "--train.teachers", str(tmp_path / "theirs")]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("compactnas: error: --train.teachers: ") and re.search(said, error), error


def test_other_engines_say_why_not(
    foreign: tuple[Path, nn.Module], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = write_scene(tmp_path / "city.tif", numbers(40, 40))
    for engine in ("torch", "int8"):
        assert main(["map", str(foreign[0]), str(scene), "-o", str(tmp_path / "map"), "--engine", engine]) == 2
        assert "an adopted network runs in onnxruntime alone" in capsys.readouterr().err


def test_a_scene_in_other_units_than_the_normalisation_is_refused(
    foreign: tuple[Path, nn.Module], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The network's normalisation tells how reflectance should look, so ten times as much is recognised."""
    scene = write_scene(tmp_path / "city.tif", (numbers(40, 40) / 1000).astype(np.float32))
    assert main(["map", str(foreign[0]), str(scene), "-o", str(tmp_path / "map")]) == 2
    assert "the scene has other units: give --scale" in capsys.readouterr().err
    assert main(["map", str(foreign[0]), str(scene), "-o", str(tmp_path / "map"), "--pixel-m", "20"]) == 2
    assert "is not the 10 m that the network was trained on" in capsys.readouterr().err


def test_a_stopped_map_is_not_resumed_with_another_description(foreign: tuple[Path, nn.Module], tmp_path: Path) -> None:
    first = job(foreign[0], write_scene(tmp_path / "city.tif", numbers(20, 20)))
    again = tmp_path / "theirs"
    again.mkdir()
    for file in ("model.onnx", "adopted.json"):
        (again / file).write_bytes((foreign[0] / file).read_bytes())
    assert replace(first, model=again).fingerprints() == first.fingerprints()
    raw = json.loads((again / "adopted.json").read_text())
    (again / "adopted.json").write_text(json.dumps(raw | {"scale": 1.0}))
    assert replace(first, model=again).fingerprints()["model"] != first.fingerprints()["model"]
