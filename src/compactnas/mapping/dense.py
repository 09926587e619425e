"""The dense mode: compute the features that neighbouring windows share once, and uncertain windows on their own.

A map has a cell every 10 px and classifies it by a window of 32 px, so every pixel is in ten windows. The network runs
once on the whole block (`levels`). The boundary correction turns its features at each window into the probabilities
that the network would give for the window alone. The correction is learnt from a sample: windows spread over the scene
that are computed both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from compactnas.mapping.blocks import Block
from compactnas.mapping.boundary_correction import BoundaryCorrection, learn
from compactnas.mapping.exact import BlockProbabilities, Exact
from compactnas.mapping.grid import CellRectangle, Grid
from compactnas.mapping.levels import window_means
from compactnas.nn.stages import Stages

AGREEMENT = 0.985
"""Share of the sample that should get the class of the exact mode: half a point above the target for a map, 98 %."""
TILE = 7
"""Number of cells along the side of a tile of the sample; cells at its border are not used."""
MOST_TILES, FEWEST_TILES, CELLS_A_TILE = 96, 24, 400
"""Largest and smallest number of tiles in a sample, and number of map cells per tile."""
BORDER_PX = 8
"""Width of the mirrored border around a block, in pixels: a multiple of every stride."""
COLUMNS = 48
"""Number of columns of cells that run at a time, so that their feature maps fit in the processor's cache."""
SMALLEST = 1e-12
"""Lower limit of a probability before its logarithm is taken."""


@dataclass(frozen=True)
class Dense:
    """Classify cells by shared features; cells that are uncertain or have invalid pixels go through the exact mode.

    Attributes:
        levels: Levels of the network.
        exact: Exact mode of the same network.
        correction: Boundary correction learnt from the scene.
    """

    levels: Stages
    exact: Exact
    correction: BoundaryCorrection

    def __call__(self, block: Block) -> BlockProbabilities:
        with torch.inference_mode():
            probabilities, doubt = self.correction(features(self.levels, block))
        found, again = probabilities.numpy(), doubt.numpy()
        if not block.valid.all():
            again = again | ~block.valid_windows().all(axis=(2, 3))
        again = again & block.accepted
        if again.any():
            found[again] = self.exact(replace(block, accepted=again))[again]
        return found


def features(levels: Stages, block: Block) -> Float[Tensor, "rows columns features"]:
    """Compute the shared features of all cells of a block; invalid pixels become the mean of the training data."""
    pixels = torch.from_numpy(block.pixels)
    if not block.valid.all():
        pixels = torch.where(torch.from_numpy(block.valid), pixels, levels.normalise.mean)
    around = (BORDER_PX,) * 4
    pixels = F.pad(pixels[None], around, mode="reflect").contiguous(memory_format=torch.channels_last)
    rows, columns = block.accepted.shape
    parts = []
    for start in range(0, columns, COLUMNS):
        count = min(COLUMNS, columns - start)
        left, wide = start * block.step, (count - 1) * block.step + block.window + 2 * BORDER_PX
        part = pixels[..., left : left + wide].contiguous(memory_format=torch.channels_last)
        down, across = (BORDER_PX + block.step * torch.arange(n, dtype=torch.float32) for n in (rows, count))
        parts.append(torch.cat(window_means(levels, part, down, across, block.window), dim=-1))
    return torch.cat(parts, dim=1)


def learn_correction(
    levels: Stages, exact: Exact, tiles: Iterable[Block], agreement: float = AGREEMENT
) -> BoundaryCorrection | None:
    """Compute the sample both ways and learn a correction from it; None if the sample is too small.

    Args:
        levels: Levels of the network.
        exact: Exact mode of the same network.
        tiles: Blocks of `TILE` x `TILE` cells (`sample`).
        agreement: Share of cells that should get the class of the exact mode.
    """
    shared, alone = [], []
    with torch.inference_mode():
        for tile in tiles:
            taken = np.zeros(tile.accepted.shape, np.bool_)
            taken[1:-1, 1:-1] = True
            alone.append(torch.from_numpy(exact(replace(tile, accepted=taken))[taken]))
            shared.append(features(levels, tile)[torch.from_numpy(taken)])
        if len(alone) < FEWEST_TILES:
            return None
        groups = torch.arange(len(alone)).repeat_interleave(torch.tensor([len(part) for part in alone]))
        logits = torch.cat(alone).clamp(min=SMALLEST).log()
        logits = logits - logits.mean(dim=-1, keepdim=True)  # the network's logits up to a constant per window
        return learn(torch.cat(shared), logits, groups, agreement)


def sample(read: Callable[[CellRectangle], Block], grid: Grid, tiles: int = 0) -> Iterator[Block]:
    """Draw tiles without invalid pixels from all over a scene, always the same ones.

    Args:
        read: Function that reads the block of these cells.
        grid: Grid of the scene.
        tiles: Largest number of tiles; 0 draws more from a larger scene.
    """
    left = tiles or min(MOST_TILES, max(FEWEST_TILES, grid.rows * grid.columns // CELLS_A_TILE))
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
