"""ONNX in 8 bits, calibrated on patches of the run's data by `checking.Checking`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from compactnas.exporting.engines import OnnxEngine, open_session
from compactnas.exporting.formats import ExportFormat
from compactnas.exporting.names import INT8
from compactnas.runs.task import Task


def _open(folder: Path, task: Task) -> Callable[[np.ndarray], np.ndarray]:
    return OnnxEngine(task, open_session((folder / INT8).read_bytes(), task, folder / INT8)).probabilities


FORMAT = ExportFormat(
    file=INT8,
    title="ONNX, 8 bits",
    purpose="onnxruntime and others, 8 bits",
    media_type="application/octet-stream; framework=onnx",
    artefact="onnx",
    open=_open,
    write=None,
    tolerance=None,
    modules=("onnx", "onnxscript", "onnxruntime"),
)
