"""Exports from strangers: damaged, or made to reach other files; one line each, and nothing is run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.exported import SPECS, write_run
from support.hostile import Trap

from compactnas.cli import main
from compactnas.errors import UserError
from compactnas.exporting.engines import open_engine

onnx = pytest.importorskip("onnx", reason="the `export` extra is not installed")
pytest.importorskip("onnxscript", reason="the `export` extra is not installed")
pytest.importorskip("onnxruntime", reason="the `export` extra is not installed")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("whole")
    run = write_run(home / "run", SPECS["resnet8"])
    assert main(["export", str(run), "--output", str(home / "export"), "--without-data"]) == 0
    return home / "export"


@pytest.fixture
def export(whole: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    for file in whole.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def vouch(export: Path, name: str, content: bytes) -> None:
    """Put a file into an export, with the checksum that a stranger would write for it."""
    (export / name).write_bytes(content)
    manifest = json.loads((export / "manifest.json").read_text())
    manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (export / "manifest.json").write_text(json.dumps(manifest))


def refuse(export: Path, engine: Any = "onnx") -> str:
    with pytest.raises(UserError) as caught:
        open_engine(export, engine).probabilities(np.zeros((1, 4, 8, 8), np.float32))
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors", "model.json"])
def test_a_file_that_is_cut_off_or_gone_is_named(name: str, export: Path) -> None:
    engine = "onnx" if name == "model.onnx" else "torch"
    content = (export / name).read_bytes()
    (export / name).write_bytes(content[: len(content) // 2])
    assert name in refuse(export, engine)
    vouch(export, name, content[: len(content) // 2])
    assert name in refuse(export, engine)
    (export / name).unlink()
    assert name in refuse(export, engine)


def test_a_file_that_is_a_link_is_not_followed(export: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "model.onnx"
    (export / "model.onnx").rename(outside)
    (export / "model.onnx").symlink_to(outside)
    assert "is missing, or is a link" in refuse(export)


@pytest.mark.parametrize("name", ["../outside.onnx", "/etc/passwd", "model.onnx/../../x", "notes.txt"])
def test_a_manifest_names_only_files_of_an_export(name: str, export: Path) -> None:
    manifest = json.loads((export / "manifest.json").read_text())
    manifest["files"][name] = manifest["files"]["model.onnx"]
    (export / "manifest.json").write_text(json.dumps(manifest))
    assert "not a file of an export" in refuse(export)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: raw.update(format="else/1"), "not an export's manifest"),
        (lambda raw: raw.update(files=[]), "not an export's manifest"),
        (lambda raw: raw["files"].update({"model.onnx": "x"}), "no checksum of model.onnx"),
        (lambda raw: raw["task"].update(patch_px=16), "lists 4 bands and 3 classes of 16 px"),
        (lambda raw: raw["task"].update(bands=["B02"]), "lists 1 bands"),
        (lambda raw: raw["task"].update(classes=[1, 2, 3]), "list of 1 to"),
        (lambda raw: raw["task"].update(lcz="yes"), "lcz true or false"),
        (lambda raw: raw["task"].update(lcz=True), "lcz is true, but there are 3 classes"),
        (lambda raw: raw["task"].pop("lcz"), "must have the keys"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused(change: Callable[[dict[str, Any]], None], said: str, export: Path) -> None:
    manifest = json.loads((export / "manifest.json").read_text())
    change(manifest)
    (export / "manifest.json").write_text(json.dumps(manifest))
    assert said in refuse(export, "torch")


def external(model: Any, where: Path) -> None:
    """Its first weights are said to lie in a file outside."""
    (where.parent / "outside.bin").write_bytes(b"\0" * 2**16)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../outside.bin")


def external_in_a_node(model: Any, where: Path) -> None:
    tensor = onnx.numpy_helper.from_array(np.zeros(3, np.float32), "w")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["w"], value=tensor))


def loop(model: Any, where: Path) -> None:
    """An operation with a graph of its own, which never ends."""
    body = onnx.helper.make_graph([], "body", [], [])
    model.graph.node.append(onnx.helper.make_node("Loop", ["", ""], ["z"], body=body))


def bomb(model: Any, where: Path) -> None:
    """A tensor of a trillion numbers out of two."""
    model.graph.node.append(onnx.helper.make_node("ConstantOfShape", ["size"], ["z"]))


def custom(model: Any, where: Path) -> None:
    model.graph.node.append(onnx.helper.make_node("Relu", ["reflectance"], ["z"], domain="com.example"))


def another_shape(model: Any, where: Path) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 12


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (external, "keeps weights in another file"),
        (external_in_a_node, "keeps weights in another file"),
        (loop, "operations that no exported network has"),
        (bomb, "operations that no exported network has"),
        (custom, "operations that no exported network has"),
        (another_shape, "does not take 4 bands of 8 px"),
    ],
)
def test_an_onnx_file_that_no_export_has_is_not_run(
    change: Callable[[Any, Path], None], said: str, export: Path
) -> None:
    model = onnx.load(export / "model.onnx")
    change(model, export)
    vouch(export, "model.onnx", model.SerializeToString())
    assert said in refuse(export)


def test_an_onnx_file_that_does_not_hang_together_is_one_line(export: Path) -> None:
    model = onnx.load(export / "model.onnx")
    model.graph.node[0].input[0] = "nothing such"
    vouch(export, "model.onnx", model.SerializeToString())
    assert "onnxruntime cannot read it" in refuse(export)


def test_a_program_from_a_stranger_is_never_unpickled(export: Path) -> None:
    import pickle

    vouch(export, "model.pt2", pickle.dumps(Trap(export)))
    open_engine(export, "onnx")
    open_engine(export, "torch")
    assert main(["bench", str(export), "--rounds", "0"]) == 2
    assert not (export / "sprung").exists()
