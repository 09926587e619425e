"""The rows of alpha of a chain of layers: one for each block, or one for each layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

AlphaPer = Literal["block", "layer"]


@dataclass(frozen=True)
class LayerRows:
    """Rows of alpha of the layers of each block.

    With a row per layer, the rows of a block are those of its reduction (the first block has none) and of its layers.

    Attributes:
        per: Whether the layers of a block share one row (`block`), or each has its own (`layer`).
        depths: Largest number of layers behind the reduction of each block.
    """

    per: AlphaPer
    depths: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of rows."""
        return self._first(len(self.depths))

    def reduction(self, block: int) -> int:
        """Row of the reduction before a block."""
        assert block, "the first block has no reduction"
        return self._first(block)

    def layer(self, block: int, layer: int) -> int:
        """Row of a layer of a block, counted from 0."""
        return block if self.per == "block" else self._first(block) + bool(block) + layer

    def live(self, depths: Sequence[int]) -> tuple[int, ...]:
        """Rows that a network of these depths uses, in the order of its layers."""
        if self.per == "block":
            return tuple(range(len(self.depths)))
        rows: list[int] = []
        for block, depth in enumerate(depths):
            rows += range(self._first(block), self._first(block) + bool(block) + depth)
        return tuple(rows)

    def _first(self, block: int) -> int:
        """First row of a block."""
        if self.per == "block":
            return block
        return sum(depth + bool(before) for before, depth in enumerate(self.depths[:block]))


def rows_of_network(nodes: int, depths: tuple[int, ...]) -> LayerRows:
    """Find how the layers of a network with this number of nodes share them: by block, or not at all."""
    own = LayerRows("layer", depths)
    return own if nodes == own.count else LayerRows("block", depths)
