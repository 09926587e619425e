"""Batches in an order that is a pure function of seed, stream and epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped
from numpy.typing import NDArray
from torch import Tensor

from compactnas.data.device_cache import TensorSource
from compactnas.data.source import Indices, Source
from compactnas.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from compactnas.errors import UserError

SYMMETRIES = 8


def drawing(seed: int, *place: int) -> np.random.Generator:
    """What draws at one place of a run (a stream, an epoch, a step), whatever was drawn elsewhere."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=place))


def symmetry(images: Shaped[Tensor, "batch band row column"], element: int) -> Shaped[Tensor, "batch band row column"]:
    """One of the 8 symmetries of the square: `element` % 4 quarter turns, then a flip from 4 on."""
    rotated = torch.rot90(images, element % 4, (2, 3))
    return rotated.flip(3) if element >= 4 else rotated


@cache
def _origins(height: int, width: int, device: torch.device) -> Int64[Tensor, "symmetry pixel"]:
    """Under each symmetry, the pixel that comes to each place."""
    pixels = torch.arange(height * width, device=device).view(1, 1, height, width)
    return torch.stack([symmetry(pixels, element).flatten() for element in range(SYMMETRIES)])


def _mirrored(height: int, width: int, moves: Int64[Tensor, "batch 2"]) -> Int64[Tensor, "batch pixel"]:
    """For each move down and to the right, the pixel that comes to each place; beyond an edge the patch is mirrored."""
    sides = []
    for side, move in zip((height, width), moves.T, strict=True):
        place = (torch.arange(side, device=moves.device) - move.unsqueeze(1)).abs()
        sides.append(side - 1 - (side - 1 - place).abs())
    rows, columns = sides
    pixels: Tensor = rows.unsqueeze(2) * width + columns.unsqueeze(1)
    return pixels.flatten(1)


def moved(
    images: Float[Tensor, "batch band row column"], comes_from: Int64[Tensor, "batch pixel"]
) -> Float[Tensor, "batch band row column"]:
    """Each image with the pixels that come to its places; all are brought there at once."""
    batch, bands, height, width = images.shape
    if images.is_contiguous(memory_format=torch.channels_last):
        first = torch.arange(batch, device=images.device).unsqueeze(1) * (height * width)
        found = images.permute(0, 2, 3, 1).reshape(-1, bands).index_select(0, (first + comes_from).flatten())
        return found.view(batch, height, width, bands).permute(0, 3, 1, 2)
    found = images.reshape(batch, bands, -1).gather(2, comes_from.unsqueeze(1).expand(-1, bands, -1))
    return found.view(images.shape)


@dataclass(frozen=True)
class Batches:
    """Batches of some rows of a source, as raw values; normalising is the network's own part.

    Attributes:
        source: where the patches are.
        indices: rows to go through.
        batch_size: patches of a batch; the last one may be smaller.
        seed: of the order and of the symmetries.
        stream: number that tells the readers of one run apart, so that they draw differently.
        augment: `dihedral` draws one of the 8 symmetries of the square for each patch.
        shuffle: whether each epoch has an order of its own; else the order of `indices`.
        drop_last: whether a smaller last batch is left out. One of a single patch always is
            when shuffling, since batch norm needs two values.
        balance: with what power of minus one of its class's frequency a patch is drawn, with replacement; 0 takes each
            patch once.
        processes: the processes among which each batch is shared out; this one gets its share, which may be
            empty. Order, symmetries and moves are drawn for all.
        shift: most pixels by which each patch is moved, down or up and right or left; beyond its edge it is mirrored.

    Errors:
        UserError: no batch can be made.
    """

    source: Source
    indices: Indices
    batch_size: int
    seed: int
    stream: int
    augment: Literal["none", "dihedral"] = "none"
    shuffle: bool = True
    drop_last: bool = False
    balance: float = 0.0
    processes: ProcessGroup = SINGLE_PROCESS
    shift: int = 0

    def __post_init__(self) -> None:
        assert self.batch_size >= 1 and self.seed >= 0 and self.stream >= 0
        side = self.source.facts.patch_px
        if not 0 <= self.shift < side:
            raise UserError(f"train.shift: {self.shift} px are too many for patches of {side}; give at most {side - 1}")
        if not len(self):
            raise UserError(f"{len(self.indices)} patches make no batch of {self.batch_size}; lower the batch size")

    def __len__(self) -> int:
        """Batches of an epoch."""
        whole, rest = divmod(len(self.indices), self.batch_size)
        left_out = self.drop_last or (self.shuffle and rest == 1)
        return whole + (1 if rest and not left_out else 0)

    def rows(self, step: int) -> int:
        """Patches of a batch, in all processes together."""
        return min(self.batch_size, len(self.indices) - step * self.batch_size)

    def epoch(
        self, epoch: int, start: int = 0
    ) -> Iterator[tuple[Float[Tensor, "batch band row column"], Int64[Tensor, " batch"]]]:
        """Images and labels of each batch from number `start` on; the same for the same arguments."""
        rng, rows = self._order(epoch)
        elements = rng.integers(SYMMETRIES, size=len(rows)) if self.augment == "dihedral" else None
        moves = rng.integers(-self.shift, self.shift + 1, size=(len(rows), 2)) if self.shift else None
        for step in range(start, len(self)):
            share, first = self.processes.share(self.rows(step)), step * self.batch_size
            size = share.stop - share.start
            chosen = slice(
                first + share.start, first + share.start + max(size, 1)
            )  # a source is asked for one at least
            drawn = (None if values is None else values[chosen] for values in (elements, moves))
            images, labels = self._read(rows[chosen], *drawn)
            yield (images, labels) if size else (images[:0], labels[:0])

    def chosen(self, epoch: int, step: int) -> Indices:
        """Rows of a batch, of all processes together."""
        return self._order(epoch)[1][step * self.batch_size : (step + 1) * self.batch_size]

    def shares(self, epoch: int, start: int = 0) -> Iterator[Indices]:
        """Rows of this process's part of each batch from number `start` on."""
        order = self._order(epoch)[1]
        for step in range(start, len(self)):
            yield order[step * self.batch_size :][: self.batch_size][self.processes.share(self.rows(step))]

    def _order(self, epoch: int) -> tuple[np.random.Generator, Indices]:
        """The rows in the order of an epoch, and the generator behind them."""
        rng = drawing(self.seed, self.stream, epoch)
        if self.balance:
            labels = self.source.facts.labels[self.indices]
            weights = np.bincount(labels)[labels] ** -self.balance
            return rng, rng.choice(self.indices, len(self.indices), p=weights / weights.sum())
        return rng, rng.permutation(self.indices) if self.shuffle else self.indices

    def _read(
        self, rows: Indices, elements: NDArray[np.int64] | None, moves: NDArray[np.int64] | None
    ) -> tuple[Tensor, Tensor]:
        """Images and labels of these rows, each image under its own symmetry and moved by its own way."""
        images, labels = self._tensors(rows)
        (height, width), device = images.shape[2:], images.device
        maps = []
        if moves is not None:
            maps.append(_mirrored(height, width, torch.from_numpy(moves).to(device)))
        if elements is not None:
            maps.append(_origins(height, width, device)[torch.from_numpy(elements).to(device)])
        if not maps:
            return images, labels
        return moved(images, maps[0] if len(maps) == 1 else maps[0].gather(1, maps[1])), labels

    def _tensors(self, rows: Indices) -> tuple[Tensor, Tensor]:
        """As the source has them: on a device where they live, else from memory, in the source's own order of it."""
        if isinstance(self.source, TensorSource):
            return self.source.tensors(rows)
        pixels, labels = self.source.batch(rows)
        return torch.from_numpy(np.asarray(pixels, np.float32)), torch.from_numpy(labels)
