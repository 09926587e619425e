"""Map a scene that is in memory: no files, and no package beyond the base installation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from compactnas.exporting.engines import Engine
from compactnas.mapping.blocks import read_block
from compactnas.mapping.classify import classify
from compactnas.mapping.config import MapConfig
from compactnas.mapping.grid import Grid
from compactnas.scenes.scene import Pixels, Place, Valid, Window


@dataclass(frozen=True)
class ArrayScene:
    """A scene in memory, all of whose pixels are valid.

    Attributes:
        bands: Names of the bands, in the network's order.
        pixels: Values in the unit of the training data.
        notes: Assumptions about the scene: none.
    """

    bands: tuple[str, ...]
    pixels: Pixels
    notes: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        """Size of the scene; it has no coordinates."""
        return Place(None, None, *self.pixels.shape[1:])

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        """Cut a window."""
        rows, columns = (
            slice(window.row, window.row + window.height),
            slice(window.column, window.column + window.width),
        )
        cut = self.pixels[:, rows, columns]
        return cut, np.ones(cut.shape[1:], np.bool_)


def map_array(engine: Engine, pixels: Pixels, step: int) -> Float32[np.ndarray, "rows columns classes"]:
    """Compute the class probabilities of each cell of a scene, as `compactnas map` does.

    Args:
        engine: Engine that runs the network.
        pixels: Scene with the bands of the network, in the unit of the training data.
        step: Side of a cell in pixels.
    """
    scene, config = ArrayScene(engine.task.bands, pixels), MapConfig()
    grid = Grid.of(scene.place, step, engine.task.patch_px, "mirror")
    found = np.zeros((grid.rows, grid.columns, len(engine.task.classes)), np.float32)
    for cells in grid.blocks():
        rows, columns = slice(cells.row, cells.row + cells.rows), slice(cells.column, cells.column + cells.columns)
        found[rows, columns] = classify(read_block(scene, grid, cells, config.min_valid), engine, config.batch_size)
    return found
