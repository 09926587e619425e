"""Estimate how many times as fast as the exact mode the dense mode is, from the work of both.

The work is counted in windows: what the engine computes for one window in the exact mode. Both modes run the same
network in the same engine, so that a strip of a scene costs as much as windows with as many pixels.
"""

from __future__ import annotations

from compactnas.mapping.dense import BORDER_PX, COLUMNS, TILE, USED, tiles_of
from compactnas.mapping.grid import Grid, block_shape

LEAST_GAIN = 2.0
"""`--mode auto` takes the dense mode if it is at least so many times as fast: it changes the class of some cells."""
LIKELY = 0.05
"""Share of cells computed exactly that is assumed before there is a sample, the smallest that was measured."""
LEARNING = 3000
"""Windows that take as long as opening the network a second time and fitting the correction (about two seconds)."""
TORCH = 3.0
"""Time of torch for a strip, as a multiple of that of onnxruntime (docs/lab/2026-11-29-maps.md)."""


def gain(grid: Grid, alone: float, slower: float = 1.0) -> float:
    """Times as fast as the exact mode, reading and writing left out.

    Args:
        grid: Cells of the scene.
        alone: Share of the cells that are computed exactly.
        slower: Time of a strip, as a multiple of the time of windows with as many pixels.
    """
    cells = grid.rows * grid.columns
    rows, columns = min(block_shape(tall=True)[0], grid.rows), min(COLUMNS, grid.columns)
    shared = slower * _windows(grid, rows, columns) / (rows * columns)
    sampling = tiles_of(grid) * (USED + slower * _windows(grid, TILE, TILE))
    return cells / (cells * (shared + alone) + sampling + LEARNING)


def _windows(grid: Grid, rows: int, columns: int) -> float:
    """Number of windows with as many pixels as a strip of so many cells."""
    height, width = ((cells - 1) * grid.step + grid.window + 2 * BORDER_PX for cells in (rows, columns))
    return height * width / grid.window**2
