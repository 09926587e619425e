"""Formats of an exported network: one module for each, which the registry `FORMATS` finds by its file name.

To add a format, add `formats/NAME.py` with a constant `FORMAT`; the export then writes, checks and lists its file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from compactnas.exporting.graphs import trace
from compactnas.nn.registry import ModelSpec
from compactnas.registry import Registry
from compactnas.runs.task import Task

if TYPE_CHECKING:
    from torch.export import ExportedProgram


@dataclass(frozen=True)
class TrainedNetwork:
    """Network to export.

    Attributes:
        spec: Description of the network.
        network: Network in eval mode.
        task: Bands and classes of the network.
    """

    spec: ModelSpec
    network: nn.Module
    task: Task

    @cached_property
    def program(self) -> ExportedProgram:
        """Network with its softmax, traced once for all formats."""
        return trace(self.network, self.task)


@dataclass(frozen=True)
class ExportFormat:
    """A file that holds a trained network.

    Attributes:
        file: Name of the file in the folder of an export.
        title: Title of the file in the STAC item.
        purpose: Purpose of the file, for the model card.
        media_type: Media type of the file.
        artefact: Kind of artefact in the terms of the MLM extension.
        open: Function that opens the file in a folder and returns a function from raw patches to class probabilities.
        write: Function that writes the file to a folder; None if the file is quantised, which needs data.
        tolerance: Largest allowed difference of a probability from the network's; None for a quantised file.
        modules: Modules of the `export` extra that the format needs.
        roles: Roles of the file in the STAC item.
    """

    file: str
    title: str
    purpose: str
    media_type: str
    artefact: str
    open: Callable[[Path, Task], Callable[[np.ndarray], np.ndarray]]
    write: Callable[[Path, TrainedNetwork], None] | None
    tolerance: float | None
    modules: tuple[str, ...] = ()
    roles: tuple[str, ...] = ("mlm:model",)


FORMATS: Registry[ExportFormat] = Registry(
    "export format", "compactnas.exporting.formats", "FORMAT", first=("onnx", "int8", "torch_export")
)
"""Formats by name, in the order in which cards and manifests list them; further ones follow alphabetically."""
