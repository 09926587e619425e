"""Run an adopted network: as an engine of maps, and as a torch module for teachers and evaluations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy.typing import NDArray
from torch import Tensor, nn

from compactnas.adopted.cost import cost_of
from compactnas.adopted.manifest import AGAIN, ONNX, Adoption
from compactnas.adopted.onnx_file import open_onnx, parse_onnx, reason_of, unlisted
from compactnas.adopted.operations import OPERATIONS
from compactnas.adopted.signature import ImageInput, batch_of, find_input, find_output
from compactnas.adopted.sizes import require_whole, sizes_of
from compactnas.cost.counter import Cost
from compactnas.errors import UserError
from compactnas.runs.task import Task

ROUNDING = 0.01
"""Largest deviation from 1 of a sum of probabilities; half-precision networks round this coarsely."""
SMALLEST = 1e-30
"""Lower limit of a probability before its logarithm is taken."""

Patches = Float32[np.ndarray, "batch bands height width"]
Scores = Float32[np.ndarray, "batch classes"]


@dataclass(frozen=True)
class AdoptedNetwork:
    """A network of other software in onnxruntime, on the CPU; an `Engine` of maps.

    Attributes:
        adoption: Bands and classes, layout, units and kind of output.
        taken: Input of the network.
        session: Session of onnxruntime.
        batch: Number of windows to run at a time.
        cost: Cost for one window.
        file: Name of the file, for messages.
    """

    adoption: Adoption
    taken: ImageInput
    session: Any
    batch: int
    cost: Cost
    file: Path

    @property
    def task(self) -> Task:
        """Bands, classes and patch side."""
        return self.adoption.task

    def probabilities(self, patches: Patches) -> Scores:
        """Compute class probabilities of raw patches (batch, bands, height, width) in the unit of the data.

        Raises:
            UserError: The outputs are not finite, or not probabilities although the manifest says so.
        """
        found = self.scores(patches)
        if self.adoption.gives == "logits":
            raised = np.exp((found - found.max(axis=1, keepdims=True)).astype(np.float64))
            shares: Scores = (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
            return shares
        if not are_probabilities(found):
            raise UserError(
                f"{self.file}: its outputs are no probabilities for some windows (they must lie between 0 and 1 and "
                "sum to 1); adopt it again with --outputs logits"
            )
        return found.clip(0, 1)

    def scores(self, patches: Patches) -> Scores:
        """Compute the outputs of the network, without a softmax.

        Raises:
            UserError: onnxruntime fails, or an output is not finite.
        """
        parts = [self._run(patches[start : start + self.batch]) for start in range(0, len(patches), self.batch)]
        found = np.concatenate([np.zeros((0, len(self.task.classes)), np.float32), *parts])
        if not np.isfinite(found).all():
            raise UserError(
                f"{self.file}: gives NaN or infinite numbers for some windows; check --scale and the normalisation "
                "that it was adopted with"
            )
        return found

    def _run(self, patches: Patches) -> NDArray[np.float32]:
        rows = len(patches)
        if self.taken.batch > rows:  # a fixed batch is filled up with copies of the last window
            patches = np.concatenate([patches, np.repeat(patches[-1:], self.taken.batch - rows, axis=0)])
        with np.errstate(over="ignore"):
            given = np.ascontiguousarray(self.adoption.input_of(patches.astype(np.float64)), self.taken.dtype)
        if not np.isfinite(given).all():
            raise UserError(
                f"{self.file}: takes {self.taken.dtype} numbers, which cannot hold these values; check --scale, or "
                "export the network in float32"
            )
        try:
            (found,) = self.session.run([self.adoption.output], {self.taken.name: given})
        except Exception as error:  # noqa: BLE001  # onnxruntime's errors have no other common class
            raise UserError(f"{self.file}: onnxruntime cannot run it ({reason_of(error)}); {AGAIN}") from None
        scores: NDArray[np.float32] = found.reshape(len(patches), -1)[:rows].astype(np.float32)
        return scores


class AdoptedModule(nn.Module):
    """An adopted network as a torch module: raw patches in, logits out. It has no weights to train.

    Args:
        network: The network.
        bands: Position in the patches of each band that the network takes.
        classes: Position among the network's classes of each class to return.

    Attributes:
        network: The network.
    """

    def __init__(self, network: AdoptedNetwork, bands: list[int], classes: list[int]) -> None:
        super().__init__()
        self.network, self._bands, self._classes = network, bands, classes

    def forward(self, x: Float[Tensor, "batch _ height width"]) -> Float[Tensor, "batch _"]:
        patches = x[:, self._bands].float().cpu().contiguous().numpy()
        if self.network.adoption.gives == "logits":
            found = self.network.scores(patches)
        else:
            found = np.log(self.network.probabilities(patches).clip(SMALLEST))
        return torch.from_numpy(np.ascontiguousarray(found[:, self._classes])).to(x.device)


def are_probabilities(scores: Scores) -> bool:
    """Check that the rows lie between 0 and 1 and sum to 1, to rounding."""
    inside = bool((scores >= -ROUNDING).all() and (scores <= 1 + ROUNDING).all())
    return inside and bool((np.abs(scores.sum(axis=1, dtype=np.float64) - 1) <= ROUNDING).all())


def open_adopted(folder: Path, threads: int = 0) -> AdoptedNetwork:
    """Open the network of a folder that `compactnas adopt` has written; it is checked again as when it was adopted.

    Raises:
        UserError: The manifest or the ONNX file is damaged, or they do not fit each other.
    """
    adoption, content = Adoption.read(folder)
    return network_of(adoption, content, folder / ONNX, threads)


def network_of(adoption: Adoption, content: bytes, file: Path, threads: int) -> AdoptedNetwork:
    """Check an ONNX file against a manifest and open it.

    Raises:
        UserError: The file cannot be used, or does not fit the manifest.
    """
    task = adoption.task
    model = parse_checked(content, file)
    taken = find_input(model, file, bands=len(task.bands), layout=adoption.layout, patch_px=task.patch_px)
    sizes = sizes_of(model, taken.name, taken.shape(taken.batch or 1), file)
    windows, classes = taken.batch or 1, len(task.classes)
    output = find_output(model, sizes, file, windows=windows, classes=classes, name=adoption.output)
    batch, cost = batch_of(model, taken, output, classes, file), cost_of(model, sizes, windows)
    return AdoptedNetwork(adoption, taken, open_onnx(content, file, threads, AGAIN), batch, cost, file)


def parse_checked(content: bytes, file: Path) -> Any:
    """Parse an ONNX file and check its operations and constants.

    Raises:
        UserError: It is not ONNX, or has an operation outside the listed set, other files, or damaged weights.
    """
    model = parse_onnx(content, file, "export the network again, in one file")
    if wrong := unlisted(model, OPERATIONS):
        raise UserError(
            f"{file}: has operations that are not allowed ({', '.join(name[:60] for name in wrong[:5])}); export it "
            "with those of the standard set that docs/export.md lists"
        )
    require_whole(model.graph, file)
    return model
