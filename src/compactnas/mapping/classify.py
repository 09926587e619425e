"""Classify the windows of a block, each on its own, as the patches in training."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from compactnas.exporting.engines import Engine
from compactnas.mapping.blocks import Block

BlockProbabilities = Float32[np.ndarray, "rows columns classes"]


def classify(block: Block, engine: Engine, batch: int) -> BlockProbabilities:
    """Compute the class probabilities of each cell of a block; 0 for cells that are not accepted.

    In each window and band, invalid pixels become the mean of the valid ones.

    Args:
        block: Pixels of the cells' windows.
        engine: Engine that runs the network.
        batch: Number of windows in a batch.
    """
    windows, valid = block.windows(), block.valid_windows()
    found = np.zeros((*block.accepted.shape, len(engine.task.classes)), np.float32)
    rows, columns = np.nonzero(block.accepted)
    for start in range(0, len(rows), batch):
        at = rows[start : start + batch], columns[start : start + batch]
        patches = np.ascontiguousarray(windows[:, at[0], at[1]].swapaxes(0, 1))
        _fill(patches, valid[at])
        found[at] = engine.probabilities(patches)
    return found


def _fill(patches: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
    """Replace invalid pixels by the mean of the valid pixels of the same patch and band."""
    for number in np.flatnonzero(~valid.all(axis=(1, 2))):
        patch, good = patches[number], valid[number]
        patch[:, ~good] = patch[:, good].mean(axis=1, dtype=np.float64)[:, None]
