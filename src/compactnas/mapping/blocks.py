"""Read blocks of a scene: the pixels of some cells' windows, mirrored at the edges, and the cells to classify."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from compactnas.mapping.grid import CellRectangle, Grid
from compactnas.scenes.scene import Pixels, Scene, Valid, Window

Accepted = Bool[np.ndarray, "rows columns"]


@dataclass(frozen=True)
class Block:
    """Pixels of the windows of some cells.

    The window of the cell in row r and column c is `pixels[:, r * step : r * step + window, c * step : ...]`.

    Attributes:
        pixels: Values; invalid pixels have no meaning.
        valid: Mask of valid pixels.
        accepted: Mask of cells whose window has enough valid pixels.
        step: Distance between neighbouring windows in pixels.
        window: Side of a window in pixels.
    """

    pixels: Pixels
    valid: Valid
    accepted: Accepted
    step: int
    window: int

    def windows(self) -> NDArray[np.float32]:
        """View of the windows of all cells: (bands, rows, columns, window, window)."""
        view: NDArray[np.float32] = _windows(self.pixels, self.step, self.window)
        return view

    def valid_windows(self) -> NDArray[np.bool_]:
        """View of the valid pixels in the windows of all cells: (rows, columns, window, window)."""
        view: NDArray[np.bool_] = _windows(self.valid[None], self.step, self.window)[0]
        return view


def read_block(scene: Scene, grid: Grid, cells: CellRectangle, min_valid: float) -> Block:
    """Read the pixels of some cells' windows.

    Args:
        scene: Scene to read from.
        grid: Grid of cells over the scene.
        cells: Cells of the block.
        min_valid: Smallest share of valid pixels in an accepted window.
    """
    rows, columns = (
        _mirrored(grid.first + start * grid.step, (count - 1) * grid.step + grid.window, side)
        for start, count, side in (
            (cells.row, cells.rows, scene.place.height),
            (cells.column, cells.columns, scene.place.width),
        )
    )
    top, left = int(rows.min()), int(columns.min())
    pixels, valid = scene.read(Window(top, left, int(rows.max()) + 1 - top, int(columns.max()) + 1 - left))
    if len(rows) != pixels.shape[1] or len(columns) != pixels.shape[2]:  # only at edges, because it copies
        at = np.ix_(rows - top, columns - left)
        pixels, valid = np.ascontiguousarray(pixels[:, at[0], at[1]]), valid[at]
    return Block(pixels, valid, _accepted(valid, grid, min_valid), grid.step, grid.window)


def _mirrored(first: int, count: int, side: int) -> NDArray[np.int64]:
    """Pixels along an axis of a scene from `first` on, mirrored at the edges: -1 becomes 1, as `numpy.pad` reflects."""
    period = max(1, 2 * (side - 1))
    places: NDArray[np.int64] = np.abs((np.arange(first, first + count) + side - 1) % period - (side - 1))
    return places


def _accepted(valid: Valid, grid: Grid, min_valid: float) -> Accepted:
    """Mark windows with enough valid pixels, at least one, by sums over rectangles (a summed-area table)."""
    sums = np.zeros((valid.shape[0] + 1, valid.shape[1] + 1), np.int64)
    np.cumsum(valid, axis=0, out=sums[1:, 1:])
    np.cumsum(sums, axis=1, out=sums)
    near, far = sums[:: grid.step], sums[grid.window :: grid.step]
    near = near[: len(far)]
    columns = len(range(grid.window, sums.shape[1], grid.step))
    within = (
        far[:, grid.window :: grid.step]
        - near[:, grid.window :: grid.step]
        - far[:, :: grid.step][:, :columns]
        + near[:, :: grid.step][:, :columns]
    )
    enough: Accepted = within >= max(1, int(np.ceil(min_valid * grid.window**2 - 1e-9)))
    return enough


def _windows(values: NDArray[Any], step: int, window: int) -> NDArray[Any]:
    view: NDArray[Any] = sliding_window_view(values, (window, window), axis=(1, 2))[:, ::step, ::step]
    return view
