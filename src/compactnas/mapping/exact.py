"""The exact mode: each window is judged on its own, as patches were in training."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from compactnas.export.engines import Engine
from compactnas.mapping.blocks import Block

BlockProbabilities = Float32[np.ndarray, "rows columns classes"]


@runtime_checkable
class Mode(Protocol):
    """How the cells of a block are judged."""

    def __call__(self, block: Block) -> BlockProbabilities:
        """Class probabilities of each cell; those of cells that are not accepted have no meaning."""
        ...


class Exact:
    """Windows in batches through an engine.

    Pixels of a window that are not valid become the mean of its valid ones, band by band.

    Args:
        engine: the network.
        batch: windows at a time.
    """

    def __init__(self, engine: Engine, batch: int) -> None:
        self._engine, self._batch = engine, batch

    def __call__(self, block: Block) -> BlockProbabilities:
        windows, valid = block.windows(), block.valid_windows()
        found = np.zeros((*block.accepted.shape, len(self._engine.classes)), np.float32)
        rows, columns = np.nonzero(block.accepted)
        for start in range(0, len(rows), self._batch):
            at = rows[start : start + self._batch], columns[start : start + self._batch]
            patches = np.ascontiguousarray(windows[:, at[0], at[1]].swapaxes(0, 1))
            _fill(patches, valid[at])
            found[at] = self._engine.probabilities(patches)
        return found


def _fill(patches: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
    """Put each patch's own means in place of pixels that are not valid."""
    for number in np.flatnonzero(~valid.all(axis=(1, 2))):
        patch, good = patches[number], valid[number]
        patch[:, ~good] = patch[:, good].mean(axis=1, dtype=np.float64)[:, None]
