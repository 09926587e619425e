"""ONNX files and manifests from strangers: one line each, nothing is read elsewhere, and memory is bounded."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.foreign import graph_of, means, node
from support.hostile import TRILLION, refused

from compactnas.adopted import manifest
from compactnas.adopted.network import open_adopted
from compactnas.cli import main
from compactnas.errors import UserError

onnx = pytest.importorskip("onnx", reason="the `export` extra is not installed")
pytest.importorskip("onnxruntime", reason="the `export` extra is not installed")

FOUR = ("--bands", "B02,B03,B04,B08", "--classes", "a,b,c,d", "--scale", "1")
Make = Callable[[], Any]


def external(location: str) -> Any:
    model = means()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return model


def external_in_a_node() -> Any:
    tensor = onnx.numpy_helper.from_array(np.zeros(3, np.float32), "w")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return means(node("Constant", "", "w", value=tensor), node("Identity", "logits", "scores"))


def with_branch() -> Any:
    """A subgraph in an operation that needs none, and one in `If`."""
    body = onnx.helper.make_graph([], "body", [], [])
    return means(node("Identity", "logits", "scores", body=body))


def with_if() -> Any:
    body = onnx.helper.make_graph([node("Identity", "logits", "b")], "body", [], [onnx.ValueInfoProto(name="b")])
    return means(node("If", "yes", "scores", then_branch=body, else_branch=body), yes=np.array(True))


def with_function() -> Any:
    model = means(onnx.helper.make_node("Mine", ["logits"], ["scores"], domain="com.example"))
    opsets = [onnx.helper.make_opsetid("", 17)]
    mine = onnx.helper.make_function("com.example", "Mine", ["a"], ["b"], [node("Relu", "a", "b")], opsets)
    model.functions.append(mine)
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    return model


def claims(shape: list[int], *, held: int = 1) -> Any:
    """Weights that say they have more values than they hold."""
    model = means()
    tensor = model.graph.initializer[0]
    tensor.raw_data = np.zeros(held, np.float32).tobytes()
    del tensor.dims[:]
    tensor.dims.extend(shape)
    return model


def untyped() -> Any:
    model = claims([])
    model.graph.initializer[0].data_type = 0
    return model


def sparse() -> Any:
    model = means()
    model.graph.sparse_initializer.add()
    return model


def odd_numbers() -> Any:
    model = means()
    model.graph.initializer.append(onnx.helper.make_tensor("s", onnx.TensorProto.STRING, [1], [b"x"]))
    return model


def two_inputs() -> Any:
    model = means()
    model.graph.input.append(onnx.helper.make_tensor_value_info("y", 1, [1]))
    return model


def loose() -> Any:
    model = means()
    model.graph.node[0].input[0] = "nothing such"
    return model


def grown(operation: str, **weights: np.ndarray) -> Any:
    """A tensor of a trillion values out of a small one."""
    names = " ".join(("flat", *weights))
    return means(node(operation, names, "big"), node("Identity", "logits", "scores"), **weights)


def from_pixels() -> Any:
    """A shape that depends on the values of the pixels."""
    return means(
        node("Cast", "flat", "whole", to=7), node("Reshape", "whole four", "shape"),
        node("Expand", "one shape", "big"), node("ReduceMean", "big", "mean"), node("Add", "mean logits", "scores"),
        four=np.array([-1]), one=np.array(1, np.float32),
    )  # fmt: skip


def doubled() -> Any:
    """Each operation doubles the tensor before."""
    doubling = [node("Concat", f"d{k} d{k}", f"d{k + 1}", axis=1) for k in range(60)]
    return means(node("Identity", "flat", "d0"), *doubling, node("Identity", "logits", "scores"))


def random() -> Any:
    return means(
        node("Dropout", "logits share yes", "scores"), share=np.array(0.5, np.float32), yes=np.array(True)
    )  # fmt: skip


def mixing() -> Any:
    """Batch norm that uses the statistics of the batch."""
    four = {name: np.full(4, value, np.float32) for name, value in (("s", 1), ("b", 0), ("m", 0), ("v", 1))}
    return means(
        node("BatchNormalization", "pooled s b m v", "n m2 v2", training_mode=1), node("Flatten", "n", "scores"), **four
    )  # fmt: skip


def wide(model: Any, side: int) -> Any:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = side
    return model


BIG = np.array([10**6, 10**6])
FILES: dict[str, tuple[Make, str]] = {
    "weights in another file": (lambda: external("../../etc/passwd"), "keeps weights in another file"),
    "weights at a path": (lambda: external("/etc/passwd"), "keeps weights in another file"),
    "a constant in another file": (external_in_a_node, "keeps weights in another file"),
    "an operation of a domain": (
        lambda: means(onnx.helper.make_node("Relu", ["logits"], ["scores"], domain="com.microsoft")),
        r"not allowed \(com.microsoft:Relu\)",
    ),
    "an unlisted operation": (lambda: means(node("RandomNormalLike", "logits", "scores")), r"\(RandomNormalLike\)"),
    "a branch": (with_if, r"not allowed \(If\)"),
    "a hidden subgraph": (with_branch, r"not allowed \(Identity\)"),
    "a function": (with_function, "not allowed .com.example:Mine"),
    "weights that claim too much": (lambda: claims([10**6, 10**6]), "says that it has .* but holds 1"),
    "weights of a negative size": (lambda: claims([-1]), "says that it has -1 values, but holds 1"),
    "weights of an overflowing size": (lambda: claims([2**62, 4]), "says that it has .* but holds 1"),
    "sparse weights": (sparse, "has sparse weights"),
    "weights of no type": (untyped, "holds no plain numbers"),
    "texts as weights": (odd_numbers, "holds no plain numbers"),
    "a trillion values by Expand": (lambda: grown("Expand", e=np.array([10**12, 4])), "at most 128 million"),
    "a trillion values by Tile": (lambda: grown("Tile", t=np.array([10**6, 10**6])), "at most 128 million"),
    "a trillion values by padding": (
        lambda: grown("Pad", p=np.array([0, 0, 10**6, 10**6])),
        "at most 128 million",
    ),
    "a trillion values by ConstantOfShape": (
        lambda: means(node("ConstantOfShape", "s", "big"), node("Identity", "logits", "scores"), s=BIG),
        "at most 128 million",
    ),
    "doubling sixty times": (doubled, "at most 128 million|do not fit together"),
    "a shape out of pixels": (from_pixels, "cannot tell the size of 'big'"),
    "shapes that do not fit": (
        lambda: means(node("Add", "logits five", "scores"), five=np.ones(5, np.float32)),
        "do not fit together",
    ),
    "an input that is not there": (loose, "do not fit together|onnxruntime cannot read it"),
    "a bands axis of another size": (lambda: wide(means(), 7), r"names 4 bands, but .* takes 7 \(its input is any x 7"),
    "two inputs": (two_inputs, r"takes 2 inputs \(x, y\)"),
    "whole numbers": (
        lambda: means(node("Cast", "x", "y", to=1), node("Identity", "logits", "scores"), kind=2),
        "does not take floating-point numbers",
    ),
    "one axis too few": (lambda: means(given=("n", 4, 8)), "has 3 axes"),
    "windows that are not square": (lambda: means(given=("n", 4, 8, 9)), "only square ones"),
    "a window of any size": (lambda: means(given=("n", 4, "h", "w")), "give --patch-px"),
    "a huge window": (lambda: means(given=("n", 4, 2**40, 2**40)), "at most 256 of 1024 px"),
    "a huge batch": (lambda: means(given=(2**40, 4, 8, 8)), "at most 256 of 1024 px"),
    "either axis": (lambda: means(given=("n", 4, 4, 4)), "give --layout nchw"),
    "another number of classes": (
        lambda: means(node("Concat", "logits logits", "scores", axis=1)),
        "names 4 classes, but the outputs of .* are scores with 8",
    ),
    "two outputs": (
        lambda: means(node("Identity", "logits", "scores"), outputs=("scores", "flat")),
        "has several outputs of 4 numbers .* --output-name",
    ),
    "no output": (lambda: means(outputs=()), "the outputs of .* are none"),
    "not a number": (
        lambda: means(node("Sqrt", "minus", "nan"), node("Add", "nan logits", "scores"), minus=-np.ones(4, np.float32)),
        "gives NaN or infinite numbers",
    ),
    "dropout in training": (random, "as a network in training mode does"),
    "batch norm in training": (mixing, "as a network in training mode does"),
    "a sigmoid": (lambda: means(node("Sigmoid", "logits", "scores")), "as after a sigmoid"),
    "an empty network": (lambda: graph_of([], outputs=("x",)), "the outputs of .* are x with 256"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_classifier_is_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, said = FILES[name]
    (tmp_path / "model.onnx").write_bytes(make().SerializeToString())
    error = refused(tmp_path, capsys, "adopt", str(tmp_path / "model.onnx"), "-o", str(tmp_path / "theirs"), *FOUR)
    assert re.search(said, error), error


@pytest.mark.parametrize("content", [b"", b"no ONNX", b"\x08\x08\x12"], ids=["empty", "text", "cut off"])
def test_a_file_that_is_not_onnx(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    refused(tmp_path, capsys, "adopt", str(tmp_path / "model.onnx"), "-o", str(tmp_path / "theirs"), *FOUR)


def test_an_empty_file_is_called_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.onnx").touch()
    said = refused(tmp_path, capsys, "adopt", str(tmp_path / "x.onnx"), "-o", str(tmp_path / "theirs"), *FOUR)
    assert "x.onnx: is empty; export the network again, in one file" in said


def test_a_file_that_is_cut_off_anywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = means().SerializeToString()
    for end in range(0, len(whole) - 1, 23):
        (tmp_path / "model.onnx").write_bytes(whole[:end])
        refused(tmp_path, capsys, "adopt", str(tmp_path / "model.onnx"), "-o", str(tmp_path / "theirs"), *FOUR)


def test_a_folder_a_pipe_and_a_large_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    words = ["-o", str(tmp_path / "theirs"), *FOUR]
    for path in (tmp_path, tmp_path / "pipe"):
        assert "no such file" in refused(tmp_path, capsys, "adopt", str(path), *words)
    (tmp_path / "large").write_bytes(means().SerializeToString())
    monkeypatch.setattr(manifest, "MOST_BYTES", 100)
    assert "is larger than" in refused(tmp_path, capsys, "adopt", str(tmp_path / "large"), *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bands", "", "--classes", "lcz", "--scale", "1"], "--bands: names no bands"),
        (["--bands", "a,,b", "--classes", "lcz", "--scale", "1"], "--bands: has an empty name"),
        (["--bands", "a,a", "--classes", "lcz", "--scale", "1"], "--bands: names 'a' twice"),
        ([*FOUR[:2], "--scale", "1"], "--classes: names no classes"),
        ([*FOUR[:2], "--classes", "names.txt", "--scale", "1"], "is no file, and one class is too few"),
        (FOUR[:4], "--scale: is needed"),
        ([*FOUR[:4], "--scale", "0"], "--scale: 0 is not above 0"),
        ([*FOUR, "--offset", "nan"], "--offset: expected a number"),
        ([*FOUR, "--offset", "1e300"], "offset must hold 1 finite number"),
        ([*FOUR, "--pixel-m=-1"], "--pixel-m: -1 is not above 0"),
        ([*FOUR, "--patch-px", "16"], "--patch-px: 16 is not the 8 px"),
        ([*FOUR, "--patch-px=-1"], "--patch-px: -1 is negative"),
        ([*FOUR, "--mean", "1,2,3"], "needs 4 finite numbers as mean"),
        ([*FOUR, "--mean", "1,2,3,4"], "needs 4 finite numbers as std"),
        ([*FOUR, "--mean", "1,2,3,4", "--std", "1,0,1,1"], "deviation of 0 is not above 0"),
        ([*FOUR, "--mean", "1,2,3,4", "--normalise", "n.json"], "leave those out"),
        ([*FOUR, "--normalise", "nothing.json"], "nothing.json: No such file"),
        ([*FOUR, "--outputs", "probabilities"], "are not probabilities"),
        ([*FOUR, "--output-name", "y"], "has no 'y'; it has scores with 4"),
        ([*FOUR, "--layout", "nhwc"], "names 4 bands, but .* takes 8"),
    ],
)
def test_options_that_do_not_fit_are_named(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.onnx").write_bytes(means().SerializeToString())
    error = refused(tmp_path, capsys, "adopt", str(tmp_path / "model.onnx"), "-o", str(tmp_path / "theirs"), *words)
    assert re.search(said, error), error


@pytest.mark.parametrize(
    "content", ["[1]", "{}", '{"mean": 1, "std": 2}', '{"mean": [1,2,3,"x"], "std": [1,1,1,1]}', '{"B02": {}}', "{"]
)
def test_a_normalisation_that_is_none(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.onnx").write_bytes(means().SerializeToString())
    (tmp_path / "n.json").write_text(content)
    words = ["-o", str(tmp_path / "theirs"), *FOUR, "--normalise", str(tmp_path / "n.json")]
    assert "n.json" in refused(tmp_path, capsys, "adopt", str(tmp_path / "model.onnx"), *words)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(means().SerializeToString())
    assert main(["adopt", str(tmp_path / "model.onnx"), "-o", str(tmp_path / "theirs"), *FOUR]) == 0
    return tmp_path / "theirs"


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "format": (lambda raw: raw.update(format="x/1"), "not the manifest of an adopted network"),
    "a key too few": (lambda raw: raw.pop("scale"), "'scale' is missing"),
    "a key too many": (lambda raw: raw.update(code="import os"), "'code' is unknown"),
    "layout": (lambda raw: raw.update(layout=["nchw"]), "layout must be one of"),
    "gives": (lambda raw: raw.update(gives="classes"), "gives must be one of"),
    "output": (lambda raw: raw.update(output=3), "output must be the name"),
    "another output": (lambda raw: raw.update(output="x"), "has no 'x'"),
    "scale": (lambda raw: raw.update(scale=0), "above 0"),
    "scales": (lambda raw: raw.update(scale=[1, 2]), "scale must hold 1 finite number"),
    "offset": (lambda raw: raw.update(offset="1"), "offset must hold 1 finite number"),
    "mean": (lambda raw: raw.update(mean=[0.1]), "mean must hold 4 finite numbers"),
    "mean alone": (lambda raw: raw.update(mean=[1, 2, 3, 4]), "mean and std of one length"),
    "std": (lambda raw: raw.update(mean=[0, 0, 0, 0], std=[1, 1, 1, -1]), "above 0"),
    "infinite": (lambda raw: raw.update(scale=float("inf")), "finite|not JSON"),
    "huge": (lambda raw: raw.update(offset=1e300), "offset must hold 1 finite number"),
    "tiny": (lambda raw: raw.update(scale=1e-300), "scale and std must be above 0"),
    "task": (lambda raw: raw.update(task=[]), "must have the keys bands"),
    "bands": (lambda raw: raw["task"].update(bands=["B02"]), "names 1 bands, but"),
    "classes": (lambda raw: raw["task"].update(classes=["a", "b"]), "names 2 classes, but"),
    "patch": (lambda raw: raw["task"].update(patch_px=TRILLION), "is not the 8 px"),
    "lcz": (lambda raw: raw["task"].update(lcz=True), "lcz is true, but"),
    "checksum": (lambda raw: raw.update(sha256="0"), "does not match its checksum"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_manifest_that_is_wrong(name: str, theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change, said = CHANGES[name]
    raw = json.loads((theirs / "adopted.json").read_text())
    change(raw)
    (theirs / "adopted.json").write_text(json.dumps(raw))
    capsys.readouterr()
    error = refused(tmp_path, capsys, "map", str(theirs), str(tmp_path / "scene.tif"), "-o", str(tmp_path / "map"))
    assert re.search(said, error), error


def test_a_file_that_was_exchanged_is_checked_again(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stranger can write any checksum."""
    content = grown("Expand", e=np.array([10**12, 4])).SerializeToString()
    (theirs / "model.onnx").write_bytes(content)
    words = ["map", str(theirs), str(tmp_path / "scene.tif"), "-o", str(tmp_path / "map")]
    capsys.readouterr()
    assert "does not match its checksum" in refused(tmp_path, capsys, *words)
    raw = json.loads((theirs / "adopted.json").read_text()) | {"sha256": hashlib.sha256(content).hexdigest()}
    (theirs / "adopted.json").write_text(json.dumps(raw))
    assert "at most 128 million" in refused(tmp_path, capsys, *words)
    (theirs / "model.onnx").rename(tmp_path / "outside.onnx")
    (theirs / "model.onnx").symlink_to(tmp_path / "outside.onnx")
    assert "is a link" in refused(tmp_path, capsys, *words)


def test_probabilities_that_are_none_stop_the_run(theirs: Path, tmp_path: Path) -> None:
    raw = json.loads((theirs / "adopted.json").read_text()) | {"gives": "probabilities"}
    (theirs / "adopted.json").write_text(json.dumps(raw))
    with pytest.raises(UserError, match=r"its outputs are no probabilities .* --outputs logits"):
        open_adopted(theirs).probabilities(np.full((1, 4, 8, 8), 0.3, np.float32))


def test_a_large_network_runs_in_smaller_batches(monkeypatch: pytest.MonkeyPatch, theirs: Path) -> None:
    for most, batch in ((1200, 4), (300, 1)):
        monkeypatch.setattr("compactnas.adopted.signature.MOST_VALUES", most)
        assert open_adopted(theirs).batch == batch


def test_nothing_is_written_over(theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["adopt", str(tmp_path / "model.onnx"), "-o", str(theirs), *FOUR]
    capsys.readouterr()
    assert "exists already" in refused(tmp_path, capsys, *words)
    assert "no folder for the network" in refused(tmp_path, capsys, "adopt", str(tmp_path / "model.onnx"), *FOUR)
