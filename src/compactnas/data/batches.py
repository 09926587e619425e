"""Iterate over batches in an order that is a pure function of seed, stream and epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
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
    """Return the random generator for one point of a run (stream, epoch, step), independent of all others."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=place))


def symmetry(images: Shaped[Tensor, "batch band row column"], element: int) -> Shaped[Tensor, "batch band row column"]:
    """Apply one of the 8 symmetries of the square: `element` % 4 quarter turns, then a flip if `element` >= 4."""
    rotated = torch.rot90(images, element % 4, (2, 3))
    return rotated.flip(3) if element >= 4 else rotated


@cache
def _origins(height: int, width: int, device: torch.device) -> Int64[Tensor, "symmetry pixel"]:
    """Return the source pixel of each target pixel, for each symmetry."""
    pixels = torch.arange(height * width, device=device).view(1, 1, height, width)
    return torch.stack([symmetry(pixels, element).flatten() for element in range(SYMMETRIES)])


def _mirrored(height: int, width: int, moves: Int64[Tensor, "batch 2"]) -> Int64[Tensor, "batch pixel"]:
    """Return the source pixel of each target pixel after a shift down and right, mirrored at the edges of the patch."""
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
    """Rearrange the pixels of each image in one gather: `comes_from` holds the source pixel of each target pixel."""
    batch, bands, height, width = images.shape
    if images.is_contiguous(memory_format=torch.channels_last):
        first = torch.arange(batch, device=images.device).unsqueeze(1) * (height * width)
        found = images.permute(0, 2, 3, 1).reshape(-1, bands).index_select(0, (first + comes_from).flatten())
        return found.view(batch, height, width, bands).permute(0, 3, 1, 2)
    found = images.reshape(batch, bands, -1).gather(2, comes_from.unsqueeze(1).expand(-1, bands, -1))
    return found.view(images.shape)


@dataclass(frozen=True)
class Batches:
    """Batches of selected rows of a source, as raw values; the network normalizes them itself.

    Attributes:
        source: Source of the patches.
        indices: Rows to iterate over.
        batch_size: Number of patches in a batch; the last one may be smaller.
        seed: Seed of the order and of the augmentation.
        stream: Number of the random stream; readers with different numbers draw independently.
        augment: Augmentation; `dihedral` draws one of the 8 symmetries of the square for each patch.
        shuffle: Whether to draw a random order for each epoch; otherwise, rows keep the order of `indices`.
        drop_last: Whether to drop a smaller last batch. When shuffling, a last batch of a single patch is
            always dropped, because batch norm needs two values.
        balance: Exponent b: patches are drawn with replacement, with weights (frequency of the class) ** -b;
            0 uses each patch once.
        processes: Group of processes that share each batch; the share of this process may be empty.
            Order, symmetries and shifts are drawn for the whole batch.
        shift: Largest random shift in pixels along each axis; patches are mirrored at their edges.

    Raises:
        UserError: The shift is too large, or no batch can be made.
    """

    source: Source
    indices: Indices
    batch_size: int
    _: KW_ONLY
    seed: int = 0
    stream: int = 0
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
            raise UserError(
                f"train.shift: {self.shift} px is too large for patches of {side} px; give at most {side - 1}"
            )
        if not len(self):
            raise UserError(f"{len(self.indices)} patches make no batch of {self.batch_size}; lower the batch size")

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        whole, rest = divmod(len(self.indices), self.batch_size)
        left_out = self.drop_last or (self.shuffle and rest == 1)
        return whole + (1 if rest and not left_out else 0)

    def rows(self, step: int) -> int:
        """Count the patches of a batch, over all processes."""
        return min(self.batch_size, len(self.indices) - step * self.batch_size)

    def epoch(
        self, epoch: int, start: int = 0
    ) -> Iterator[tuple[Float[Tensor, "batch band row column"], Int64[Tensor, " batch"]]]:
        """Yield images and labels of each batch from number `start`; a pure function of its arguments."""
        rng, rows = self._order(epoch)
        elements = rng.integers(SYMMETRIES, size=len(rows)) if self.augment == "dihedral" else None
        moves = rng.integers(-self.shift, self.shift + 1, size=(len(rows), 2)) if self.shift else None
        for step in range(start, len(self)):
            share, first = self.processes.share(self.rows(step)), step * self.batch_size
            size = share.stop - share.start
            chosen = slice(first + share.start, first + share.start + max(size, 1))  # a source needs at least one row
            drawn = (None if values is None else values[chosen] for values in (elements, moves))
            images, labels = self._read(rows[chosen], *drawn)
            yield (images, labels) if size else (images[:0], labels[:0])

    def chosen(self, epoch: int, step: int) -> Indices:
        """Return the rows of a batch, over all processes."""
        return self._order(epoch)[1][step * self.batch_size : (step + 1) * self.batch_size]

    def shares(self, epoch: int, start: int = 0) -> Iterator[Indices]:
        """Yield the rows of this process's share of each batch from number `start`."""
        order = self._order(epoch)[1]
        for step in range(start, len(self)):
            yield order[step * self.batch_size :][: self.batch_size][self.processes.share(self.rows(step))]

    def _order(self, epoch: int) -> tuple[np.random.Generator, Indices]:
        """Return the random generator of an epoch, and the rows in the order of the epoch."""
        rng = drawing(self.seed, self.stream, epoch)
        if self.balance:
            labels = self.source.facts.labels[self.indices]
            weights = np.bincount(labels)[labels] ** -self.balance
            return rng, rng.choice(self.indices, len(self.indices), p=weights / weights.sum())
        return rng, rng.permutation(self.indices) if self.shuffle else self.indices

    def _read(
        self, rows: Indices, elements: NDArray[np.int64] | None, moves: NDArray[np.int64] | None
    ) -> tuple[Tensor, Tensor]:
        """Return images and labels of these rows, each image with its own symmetry and shift."""
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
        """Read rows as the source stores them: on its device if it has one, otherwise in host memory."""
        if isinstance(self.source, TensorSource):
            return self.source.tensors(rows)
        pixels, labels = self.source.batch(rows)
        return torch.from_numpy(np.asarray(pixels, np.float32)), torch.from_numpy(labels)
