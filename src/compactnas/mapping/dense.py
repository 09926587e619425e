"""The dense mode: compute the features that neighbouring windows share once, and uncertain windows on their own.

A map has a cell every 10 px and classifies it by a window of 32 px, so every pixel is in ten windows. The network runs
once on the whole block (`shared_maps`). The boundary correction turns its features at each window into the
probabilities that the network would give for the window alone. The correction is learnt from a sample: windows spread
over the scene that are computed both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray

from compactnas.mapping.blocks import Block
from compactnas.mapping.boundary_correction import BoundaryCorrection, learn
from compactnas.mapping.exact import BlockProbabilities, Exact
from compactnas.mapping.grid import CellRectangle, Grid
from compactnas.mapping.levels import window_means
from compactnas.mapping.shared_maps import MULTIPLE, Shared

AGREEMENT = 0.98
"""Share of a map's cells that should get the class of the exact mode."""
TILE = 7
"""Number of cells along the side of a tile of the sample; every second cell is used, and none at the border."""
USED = 9
"""Number of cells of a tile that are used."""
MOST_TILES, USUAL_TILES, FEWEST_TILES, CELLS_A_TILE = 240, 96, 24, 900
"""Tiles of a sample: one for so many map cells, between two limits; with fewer than the fewest, nothing is learnt."""
BORDER_PX = 16
"""Width of the border around a strip, in pixels: a multiple of every stride. At the edge of a block it is mirrored."""
COLUMNS = 64
"""Largest number of columns of cells that run at a time, so that their maps take as much memory as a batch."""
SMALLEST = 1e-12
"""Lower limit of a probability before its logarithm is taken."""


@dataclass(frozen=True)
class Dense:
    """Classify cells by shared features; cells that are uncertain or have invalid pixels go through the exact mode.

    Attributes:
        shared: What the windows share of the network.
        exact: Exact mode of the same network.
        correction: Boundary correction learnt from the scene.
    """

    shared: Shared
    exact: Exact
    correction: BoundaryCorrection

    def __call__(self, block: Block) -> BlockProbabilities:
        shared = features(self.shared, block)
        own = self.shared.own_logits(shared)
        probabilities, doubt = self.correction(torch.from_numpy(shared), torch.from_numpy(own))
        found, again = probabilities.numpy(), doubt.numpy()
        if not block.valid.all():
            again = again | ~block.valid_windows().all(axis=(2, 3))
        again = again & block.accepted
        if again.any():
            found[again] = self.exact(replace(block, accepted=again))[again]
        return found


def features(shared: Shared, block: Block) -> Float32[np.ndarray, "rows columns features"]:
    """Compute the shared features of all cells of a block; invalid pixels become the mean of the training data."""
    pixels = block.pixels
    if not block.valid.all():
        pixels = np.where(block.valid, pixels, shared.mean)
    around = (BORDER_PX, BORDER_PX + MULTIPLE)
    pixels = np.pad(pixels, ((0, 0), around, around), mode="reflect")
    rows, columns = block.accepted.shape
    height, parts = _side(block, rows), []
    for some in np.array_split(np.arange(columns), -(-columns // COLUMNS)):
        left, width = int(some[0]) * block.step, _side(block, len(some))
        strip = np.ascontiguousarray(pixels[:, :height, left : left + width])
        down, across = (BORDER_PX + block.step * np.arange(n, dtype=np.float64) for n in (rows, len(some)))
        parts.append(window_means(shared.maps(strip), down, across, block.window))
    return np.concatenate(parts, axis=1)


def _side(block: Block, cells: int) -> int:
    """Side of a strip of so many cells, in pixels."""
    side = (cells - 1) * block.step + block.window + 2 * BORDER_PX
    return -(-side // MULTIPLE) * MULTIPLE


def learn_correction(
    shared: Shared, exact: Exact, tiles: Iterable[Block], agreement: float = AGREEMENT
) -> BoundaryCorrection | None:
    """Compute the sample both ways and learn a correction from it; None if the sample is too small.

    Args:
        shared: What the windows share of the network.
        exact: Exact mode of the same network.
        tiles: Blocks of `TILE` x `TILE` cells (`sample`).
        agreement: Share of cells that should get the class of the exact mode.
    """
    together, alone = [], []
    for tile in tiles:
        taken = np.zeros(tile.accepted.shape, np.bool_)
        taken[1:-1:2, 1:-1:2] = True
        alone.append(exact(replace(tile, accepted=taken))[taken])
        together.append(features(shared, tile)[taken])
    if len(alone) < FEWEST_TILES:
        return None
    found = np.concatenate(together)
    logits = np.log(np.maximum(np.concatenate(alone), np.float32(SMALLEST)))  # the network's, up to a constant
    groups = torch.arange(len(alone)).repeat_interleave(USED)
    own = torch.from_numpy(shared.own_logits(found))
    return learn(torch.from_numpy(found), torch.from_numpy(logits), own, groups, agreement)


def tiles_of(grid: Grid) -> int:
    """Number of tiles that a sample of the scene has if all of its pixels are valid."""
    return min(max(USUAL_TILES, grid.rows * grid.columns // CELLS_A_TILE), MOST_TILES, len(_places(grid)))


def sample(read: Callable[[CellRectangle], Block], grid: Grid, tiles: int = 0) -> Iterator[Block]:
    """Draw tiles without invalid pixels from all over a scene, always the same ones.

    Args:
        read: Function that reads the block of these cells.
        grid: Grid of the scene.
        tiles: Largest number of tiles; 0 draws more from a larger scene.
    """
    left = tiles or tiles_of(grid)
    for row, column in _places(grid)[: 4 * left]:
        tile = read(CellRectangle(int(row), int(column), TILE, TILE))
        if tile.valid.all():
            yield tile
            left -= 1
        if not left:
            return


def _places(grid: Grid) -> NDArray[np.int64]:
    """First row and column of tiles from edge to edge, shuffled; neighbouring tiles overlap by about their border."""
    rows, columns = (
        np.linspace(0, count - TILE, max(1, (count - 1) // (TILE - 1)) if count >= TILE else 0).round().astype(np.int64)
        for count in (grid.rows, grid.columns)
    )
    places = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    shuffled: NDArray[np.int64] = np.random.default_rng(0).permutation(places)
    return shuffled
