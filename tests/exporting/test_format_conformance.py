"""Every export format: its file, read back, gives the network's probabilities within the declared tolerance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.exported import TASK, exported
from support.tiny import BANDS, CLASSES, SIDE

from compactnas.exporting.engines import open_engine
from compactnas.exporting.formats import FORMATS
from compactnas.exporting.manifest import Manifest, known_files

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
