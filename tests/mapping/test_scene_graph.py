"""The graph of an export, cut for strips: the maps of the network in torch, in onnxruntime and in OpenVINO."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from support.map_files import job, numbers

from compactnas.adopted.onnx_file import open_onnx
from compactnas.errors import UserError
from compactnas.exporting.engines import OnnxEngine, TorchEngine, open_engine
from compactnas.exporting.graphs import onnx_bytes, trace
from compactnas.exporting.manifest import Manifest
from compactnas.exporting.names import INPUT, ONNX
from compactnas.exporting.openvino import OpenVinoEngine, compile_openvino
from compactnas.mapping.graph_maps import GraphMaps, graph_maps
from compactnas.mapping.scene_graph import scene_graph
from compactnas.mapping.shared_maps import Shared
from compactnas.nn.registry import ModelSpec, build
from compactnas.runs.folder import save_model
from compactnas.runs.task import Task
from compactnas.space.genotype import Genotype

for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package, reason="the `export` extra is not installed")

BANDS, CLASSES = 10, 5
TASK = Task(tuple(f"B{band}" for band in range(BANDS)), tuple("abcde"), 32, lcz=False)
CELL = ((("sep_conv_3x3", 0),), (("avg_pool_3x3", 0), ("max_pool_3x3", 1)), (("dil_conv_3x3", 2), ("skip_connect", 0)))
CHAIN = ((("mb_k3_e2", 0),), (("mb_k5_e3", 1),), (("mb_k5_e1", 2),))
SPECS = {
    "paper": ModelSpec("genotype", BANDS, CLASSES, 32, Genotype(CELL, (1, 1, 1), channels=4)),
    "mobile": ModelSpec("genotype", BANDS, CLASSES, 32, Genotype(CHAIN, (1, 1, 1), channels=4, layout="mobile")),
    "resnet8": ModelSpec("resnet8", BANDS, CLASSES, 32),
    "sen2lcz_mf": ModelSpec("sen2lcz_mf", BANDS, CLASSES, 32),
}
STRIP = (numbers(96, 160) / np.float32(10_000)).astype(np.float32)


def network_of(name: str) -> torch.nn.Module:
    torch.manual_seed(1)
    network = build(SPECS[name])
    with torch.no_grad():
        for _ in range(3):
            network.train()(torch.rand(8, BANDS, 32, 32))
    return network.eval()


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of an export that a map needs."""
    folder, network = tmp_path_factory.mktemp("export"), network_of("resnet8")
    save_model(folder, SPECS["resnet8"], network)
    (folder / ONNX).write_bytes(onnx_bytes(trace(network, TASK), TASK, network))
    Manifest.of(folder, TASK).write(folder)
    return folder


@pytest.mark.parametrize("name", ["paper", "mobile"])
def test_the_cut_graph_gives_the_maps_of_the_network_on_a_strip_of_any_size(name: str) -> None:
    import onnx

    network = network_of(name)
    cut = scene_graph(onnx.load_model_from_string(onnx_bytes(trace(network, TASK), TASK, network)), 32)
    assert cut is not None and cut[1] == (1, 2, 4)
    session = open_onnx(cut[0], Path("scene"), 1, "")
    found = GraphMaps(lambda batch: session.run(None, {INPUT: batch}), cut[1])(STRIP)
    shared = Shared.of(network)
    assert [level.values.shape[1:] for level in found] == [(96, 160), (48, 80), (24, 40)]
    wanted = shared.maps(STRIP)
    np.testing.assert_allclose(found[-1].values, wanted[-1].values, rtol=1e-3, atol=1e-4)
    for level, other in zip(found, wanted, strict=True):
        assert level.stride == other.stride
        if name != "mobile":  # there, the input of a reduction's strided layer takes the place of a positive part
            np.testing.assert_allclose(level.values, other.values, rtol=1e-3, atol=1e-4)


def test_a_network_that_takes_means_of_several_levels_is_not_cut() -> None:
    import onnx

    network = network_of("sen2lcz_mf")
    assert scene_graph(onnx.load_model_from_string(onnx_bytes(trace(network, TASK), TASK, network)), 32) is None


def test_each_engine_computes_the_maps_itself(export: Path) -> None:
    what = replace(job(export, export), engine="onnx")
    engine = open_engine(export, "onnx", threads=1)
    assert isinstance(engine, OnnxEngine)
    found = graph_maps(what, engine)
    assert found is not None
    own = open_engine(export, "torch", threads=1)
    assert isinstance(own, TorchEngine) and graph_maps(what, own) is None
    for level, wanted in zip(found(STRIP), Shared.of(own.network).maps(STRIP), strict=True):
        np.testing.assert_allclose(level.values, wanted.values, rtol=1e-3, atol=1e-4)


def test_openvino_gives_the_classes_and_maps_of_onnxruntime(export: Path) -> None:
    pytest.importorskip("openvino", reason="the `openvino` extra is not installed")
    first, second = (open_engine(export, name, threads=1) for name in ("onnx", "openvino"))
    assert isinstance(second, OpenVinoEngine)
    windows = np.lib.stride_tricks.sliding_window_view(STRIP, (32, 32), axis=(1, 2))[:, ::10, ::10]
    patches = np.ascontiguousarray(windows.reshape(BANDS, -1, 32, 32).swapaxes(0, 1))
    found, wanted = second.probabilities(patches), first.probabilities(patches)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_array_equal(found.argmax(1), wanted.argmax(1))
    what = job(export, export)
    maps = [graph_maps(what, engine) for engine in (first, second)]
    assert maps[0] is not None and maps[1] is not None
    for level, other in zip(maps[0](STRIP), maps[1](STRIP), strict=True):
        np.testing.assert_allclose(level.values, other.values, rtol=1e-3, atol=1e-4)


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


def test_a_changed_file_is_not_cut(export: Path, tmp_path: Path) -> None:
    for file in export.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    engine = open_engine(tmp_path, "onnx", threads=1)
    (tmp_path / ONNX).write_bytes((tmp_path / ONNX).read_bytes() + b" ")
    with pytest.raises(UserError, match="does not match its checksum"):
        graph_maps(job(tmp_path, tmp_path), engine)
