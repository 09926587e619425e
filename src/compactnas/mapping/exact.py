"""The exact mode: classify each window on its own, as the patches in training."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from compactnas.exporting.engines import Engine
from compactnas.mapping.blocks import Block

BlockProbabilities = Float32[np.ndarray, "rows columns classes"]


@runtime_checkable
class Mode(Protocol):
    """Mode of a map: computes the class probabilities of the cells of a block."""

    def __call__(self, block: Block) -> BlockProbabilities:
        """Class probabilities of each cell; they have no meaning for cells that are not accepted."""
        ...


class Exact:
    """Classify windows in batches with an engine.

    In each window and band, invalid pixels become the mean of the valid ones.

    Args:
        engine: Engine that runs the network.
        batch: Number of windows in a batch.
    """

    def __init__(self, engine: Engine, batch: int) -> None:
        self._engine, self._batch = engine, batch

    def __call__(self, block: Block) -> BlockProbabilities:
        windows, valid = block.windows(), block.valid_windows()
        found = np.zeros((*block.accepted.shape, len(self._engine.task.classes)), np.float32)
        rows, columns = np.nonzero(block.accepted)
        for start in range(0, len(rows), self._batch):
            at = rows[start : start + self._batch], columns[start : start + self._batch]
            patches = np.ascontiguousarray(windows[:, at[0], at[1]].swapaxes(0, 1))
            _fill(patches, valid[at])
            found[at] = self._engine.probabilities(patches)
        return found


def _fill(patches: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
    """Replace invalid pixels by the mean of the valid pixels of the same patch and band."""
    for number in np.flatnonzero(~valid.all(axis=(1, 2))):
        patch, good = patches[number], valid[number]
        patch[:, ~good] = patch[:, good].mean(axis=1, dtype=np.float64)[:, None]
