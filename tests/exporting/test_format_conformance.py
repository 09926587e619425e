"""Every export format: its file, read back, gives the network's probabilities within the declared tolerance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.exported import TASK, exported
from support.tiny import BANDS, CLASSES, SIDE
from torch import Tensor, nn

from compactnas.adopted.onnx_file import parse_onnx, unlisted
from compactnas.exporting.engines import OnnxEngine, TorchEngine, open_engine, open_session
from compactnas.exporting.formats import FORMATS
from compactnas.exporting.graphs import onnx_bytes, trace
from compactnas.exporting.manifest import Manifest, known_files
from compactnas.exporting.parity import LIMIT
from compactnas.exporting.reading import OPERATIONS as READ
from compactnas.nn.normalise import Normalise
from compactnas.nn.norms import final_norm
from compactnas.nn.state import State
from compactnas.space.operation_specs import NONE, OPERATIONS

for module in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(module, reason="the `export` extra is not installed")

QUANTISED = 0.5
"""Largest difference of a probability of a quantised file; the export measures and reports it."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory, "paper")


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_read_back_gives_the_probabilities_of_the_network(name: str, run: Path) -> None:
    known, export = FORMATS[name], run.with_name("export")
    assert known.file in Manifest.read(export).files
    patches = np.random.default_rng(0).normal(0.3, 0.1, (5, BANDS, SIDE, SIDE)).astype(np.float32)
    found, expected = known.open(export, TASK)(patches), open_engine(run).probabilities(patches)
    assert found.shape == (5, CLASSES) and found.dtype == np.float32
    assert np.abs(found - expected).max() <= (QUANTISED if known.tolerance is None else known.tolerance)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)


def test_formats_share_no_file_and_describe_themselves(run: Path) -> None:
    files = [known.file for known in FORMATS.values()]
    assert len({*files}) == len(files) and {*files} <= {*known_files()}
    card = (run.with_name("export") / "README.md").read_text()
    for known in FORMATS.values():
        assert known.title and known.purpose in card and known.media_type and "mlm:model" in known.roles
        assert (known.write is None) == (known.tolerance is None)


class Everything(nn.Module):
    """Every candidate operation, at stride 1 and in a reduction, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.normalise = Normalise(BANDS)
        operations = [operation for name, operation in OPERATIONS.items() if name != NONE]
        parts = [one.build(BANDS, final_norm) for one in operations]
        parts += [one.build_reduction(BANDS, BANDS, final_norm) for one in operations if one.build_reduction]
        self.parts = nn.ModuleList(parts)
        self.head = nn.Linear(BANDS, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        state = State(self.normalise(x))
        logits: Tensor = self.head(sum(part(state).mean(dim=(2, 3)) for part in self.parts))
        return logits


def test_every_operation_can_be_exported() -> None:
    """An export refuses operators of ONNX that `exporting.reading` does not list."""
    torch.manual_seed(0)
    network = Everything().eval()
    content = onnx_bytes(trace(network, TASK), TASK, network)
    assert unlisted(parse_onnx(content, Path("model.onnx"), ""), READ) == []
    patches = np.random.default_rng(0).normal(0.3, 0.1, (5, BANDS, SIDE, SIDE)).astype(np.float32)
    found = OnnxEngine(TASK, open_session(content, TASK, Path("model.onnx"))).probabilities(patches)
    np.testing.assert_allclose(found, TorchEngine(TASK, network).probabilities(patches), rtol=0, atol=LIMIT)
