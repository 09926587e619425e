"""ONNX in float32, for onnxruntime and other engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from compactnas.exporting.engines import OnnxEngine, open_session
from compactnas.exporting.formats import ExportFormat, TrainedNetwork
from compactnas.exporting.graphs import onnx_bytes
from compactnas.exporting.names import ONNX
from compactnas.exporting.parity import LIMIT
from compactnas.io.atomic import write_bytes
from compactnas.runs.task import Task


def _write(folder: Path, trained: TrainedNetwork) -> None:
    write_bytes(folder / ONNX, onnx_bytes(trained.program, trained.task, trained.network))


def _open(folder: Path, task: Task) -> Callable[[np.ndarray], np.ndarray]:
    return OnnxEngine(task, open_session((folder / ONNX).read_bytes(), task, folder / ONNX)).probabilities


FORMAT = ExportFormat(
    file=ONNX,
    title="ONNX, float32",
    purpose="onnxruntime and others, float32",
    media_type="application/octet-stream; framework=onnx",
    artefact="onnx",
    open=_open,
    write=_write,
    tolerance=LIMIT,
    modules=("onnx", "onnxscript", "onnxruntime"),
)
