"""The engine OpenVINO: the classes of onnxruntime, and one line if it cannot be used."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from support.map_files import numbers

from compactnas.errors import UserError
from compactnas.exporting.engines import open_engine
from compactnas.exporting.graphs import onnx_bytes, trace
from compactnas.exporting.manifest import Manifest
from compactnas.exporting.names import ONNX
from compactnas.exporting.openvino import OpenVinoEngine, compile_openvino
from compactnas.nn.registry import ModelSpec, build
from compactnas.runs.folder import save_model
from compactnas.runs.task import Task

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package, reason="the `export` extra is not installed")

BANDS, CLASSES = 10, 5
TASK = Task(tuple(f"B{band}" for band in range(BANDS)), tuple("abcde"), 32, lcz=False)
SPEC = ModelSpec("resnet8", BANDS, CLASSES, 32)
SCENE = (numbers(96, 160) / np.float32(10_000)).astype(np.float32)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of an export that an engine needs."""
    torch.manual_seed(1)
    folder, network = tmp_path_factory.mktemp("export"), build(SPEC)
    with torch.no_grad():
        for _ in range(3):
            network.train()(torch.rand(8, BANDS, 32, 32))
    save_model(folder, SPEC, network.eval())
    (folder / ONNX).write_bytes(onnx_bytes(trace(network, TASK), TASK, network))
    Manifest.of(folder, TASK).write(folder)
    return folder


def test_openvino_gives_the_classes_of_onnxruntime(export: Path) -> None:
    pytest.importorskip("openvino", reason="the `openvino` extra is not installed")
    first, second = (open_engine(export, name, threads=1) for name in ("onnx", "openvino"))
    assert isinstance(second, OpenVinoEngine)
    windows = np.lib.stride_tricks.sliding_window_view(SCENE, (32, 32), axis=(1, 2))[:, ::10, ::10]
    patches = np.ascontiguousarray(windows.reshape(BANDS, -1, 32, 32).swapaxes(0, 1))
    found, wanted = second.probabilities(patches), first.probabilities(patches)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_array_equal(found.argmax(1), wanted.argmax(1))


def test_openvino_is_refused_in_one_line(export: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="engine openvino needs an export"):
        open_engine(tmp_path, "openvino")
    if find_spec("openvino"):
        with pytest.raises(UserError, match=r"bad: OpenVINO cannot read it \(.*\); do it again"):
            compile_openvino(b"no model", Path("bad"), 1, "do it again")
    from compactnas.io import extras

    monkeypatch.setattr(extras, "missing", lambda *packages: [name for name in packages if name == "openvino"])
    with pytest.raises(UserError, match=r"--engine openvino: .*pip install 'compactnas\[openvino\]'"):
        open_engine(export, "openvino")


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_a_changed_file_is_not_opened(engine: str, export: Path, tmp_path: Path) -> None:
    for file in export.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / ONNX).write_bytes((tmp_path / ONNX).read_bytes() + b" ")
    with pytest.raises(UserError, match="does not match its checksum"):
        open_engine(tmp_path, engine)  # type: ignore[arg-type]
