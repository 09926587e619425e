"""The dense mode: what neighbouring windows share is computed once; windows in doubt are judged on their own.

A map has a cell every 10 px and judges it by a window of 32 px, so that every pixel is in ten windows. The network
runs once on the whole block (`levels`); its features at each window's place are turned into what it would say of the
window alone (`correction`). Before that, windows spread over the scene are judged both ways: the sample.
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
"""Share of the sample that should have the class of the exact mode: half a point above what a map should have, 98 %."""
TILE = 7
"""Cells along the side of a tile of the sample; those at its border are not taken."""
MOST_TILES, FEWEST_TILES, CELLS_A_TILE = 96, 24, 400
"""Least and largest number of tiles in a sample, and the number of map cells per tile."""
BORDER_PX = 8
"""Pixels around a block that are mirrored: a multiple of every stride."""
COLUMNS = 48
"""Columns of cells that are run at a time: their maps stay near the processor."""
SMALLEST = 1e-12
"""Of a probability whose logarithm is learnt."""


@dataclass(frozen=True)
class Dense:
    """Cells by shared features, and those in doubt, or with pixels that are not valid, by the exact mode.

    Attributes:
        levels: Levels of the network.
        exact: the same network, window by window.
        correction: what was learnt of this scene.
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
    """The shared features of all cells of a block; pixels that are not valid are the training data's mean."""
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
    """Judge the sample both ways and learn from it; None where it is too small to learn anything.

    Args:
        levels: Levels of the network.
        exact: the same network.
        tiles: blocks of `TILE` x `TILE` cells (`sample`).
        agreement: share of cells that should have the class of the exact mode.
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
        logits = logits - logits.mean(dim=-1, keepdim=True)  # the network's own but for a number that all classes share
        return learn(torch.cat(shared), logits, groups, agreement)


def sample(read: Callable[[CellRectangle], Block], grid: Grid, tiles: int = 0) -> Iterator[Block]:
    """Draw tiles of valid pixels all over a scene, always the same ones.

    Args:
        read: gives the block of these cells.
        grid: the scene's.
        tiles: Largest number of tiles; 0 takes more for a larger scene.
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
    """First row and column of tiles from edge to edge that overlap by no more than about their border, shuffled."""
    rows, columns = (
        np.linspace(0, count - TILE, max(1, (count - 1) // (TILE - 1)) if count >= TILE else 0).round().astype(np.int64)
        for count in (grid.rows, grid.columns)
    )
    places = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    shuffled: NDArray[np.int64] = np.random.default_rng(0).permutation(places)
    return shuffled
