"""Weights as safetensors, next to `model.json`, which describes the network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from compactnas.exporting.engines import TorchEngine
from compactnas.exporting.formats import ExportFormat, TrainedNetwork
from compactnas.exporting.names import WEIGHTS
from compactnas.exporting.parity import LIMIT
from compactnas.runs.folder import load, save_model
from compactnas.runs.task import Task


def _write(folder: Path, trained: TrainedNetwork) -> None:
    save_model(folder, trained.spec, trained.network)


def _open(folder: Path, task: Task) -> Callable[[np.ndarray], np.ndarray]:
    return TorchEngine(task, load(folder)).probabilities


FORMAT = ExportFormat(
    file=WEIGHTS,
    title="weights; model.json describes the network",
    purpose="weights, for compactnas",
    media_type="application/octet-stream; framework=safetensors",
    artefact="safetensors",
    open=_open,
    write=_write,
    tolerance=LIMIT,
    roles=("mlm:model", "mlm:weights"),
)
