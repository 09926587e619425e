"""Blocks of a scene: the pixels of some cells' windows, mirrored at its edges, and which cells can be judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from compactnas.mapping.grid import CellRectangle, Grid
from compactnas.mapping.scene import Pixels, Scene, Valid, Window

Accepted = Bool[np.ndarray, "rows columns"]


@dataclass(frozen=True)
class Block:
    """Pixels that the classes of some cells are computed from.

    The window of the cell in row r and column c is `pixels[:, r * step : r * step + window, c * step : ...]`.

    Attributes:
        pixels: values; those that are not valid are of no meaning.
        valid: which pixels are of use.
        accepted: cells whose window has enough of them.
        step: distance of neighbouring windows in pixels.
        window: side of a window in pixels.
    """

    pixels: Pixels
    valid: Valid
    accepted: Accepted
    step: int
    window: int

    def windows(self) -> NDArray[np.float32]:
        """The windows of all cells, as a view: (bands, rows, columns, window, window)."""
        view: NDArray[np.float32] = _windows(self.pixels, self.step, self.window)
        return view

    def valid_windows(self) -> NDArray[np.bool_]:
        """Their valid pixels, as a view: (rows, columns, window, window)."""
        view: NDArray[np.bool_] = _windows(self.valid[None], self.step, self.window)[0]
        return view


def read_block(scene: Scene, grid: Grid, cells: CellRectangle, min_valid: float) -> Block:
    """Read the pixels of some cells' windows.

    Args:
        scene: Scene to read from.
        grid: its cells.
        cells: Cells of the block.
        min_valid: least share of valid pixels of an accepted window.
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
    if len(rows) != pixels.shape[1] or len(columns) != pixels.shape[2]:  # only at edges, since it copies
        at = np.ix_(rows - top, columns - left)
        pixels, valid = np.ascontiguousarray(pixels[:, at[0], at[1]]), valid[at]
    return Block(pixels, valid, _accepted(valid, grid, min_valid), grid.step, grid.window)


def _mirrored(first: int, count: int, side: int) -> NDArray[np.int64]:
    """Pixels of a scene's axis from `first` on, mirrored at its edges: -1 is 1, as in `numpy.pad`'s reflect."""
    period = max(1, 2 * (side - 1))
    places: NDArray[np.int64] = np.abs((np.arange(first, first + count) + side - 1) % period - (side - 1))
    return places


def _accepted(valid: Valid, grid: Grid, min_valid: float) -> Accepted:
    """Check whether enough pixels of each window are valid, and at least one: by sums over rectangles."""
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
