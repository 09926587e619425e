"""A `torch.export` program, for PyTorch without this package."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from compactnas.exporting.formats import ExportFormat, TrainedNetwork
from compactnas.exporting.graphs import program_bytes
from compactnas.exporting.names import PROGRAM
from compactnas.exporting.parity import LIMIT
from compactnas.io.atomic import write_bytes
from compactnas.runs.task import Task


def _write(folder: Path, trained: TrainedNetwork) -> None:
    write_bytes(folder / PROGRAM, program_bytes(trained.program))


def _open(folder: Path, task: Task) -> Callable[[np.ndarray], np.ndarray]:
    """Load the program; unpickles, so only for a file that this process has written."""
    program = torch.export.load(io.BytesIO((folder / PROGRAM).read_bytes())).module()

    def probabilities(patches: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            found: np.ndarray = program(torch.from_numpy(patches)).numpy()
        return found

    return probabilities


FORMAT = ExportFormat(
    file=PROGRAM,
    title="PyTorch program",
    purpose="PyTorch without this package: `torch.export.load`",
    media_type="application/zip; framework=pytorch; type=export",
    artefact="torch.export.save",
    open=_open,
    write=_write,
    tolerance=LIMIT,
)
