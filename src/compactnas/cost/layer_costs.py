"""Costs of a chain of layers: each row of alpha costs something in its own layers and reductions alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from compactnas.nn.norms import final_norm
from compactnas.nn.state import OnMap
from compactnas.space.layer_rows import LayerRows
from compactnas.space.operation_specs import OPERATIONS
from compactnas.space.search_space import Space


@dataclass(frozen=True)
class LayerCosts:
    """Use of the rows of alpha by the layers of each block, and the costs of the reductions.

    Attributes:
        rows: Row of each layer and each reduction.
        reductions: Cost of each operation as the reduction before each block, (blocks, operations); zero in the first.
        at_widths: The same at each width of the block before and of the block itself; None without widths.
    """

    rows: LayerRows
    reductions: Float[Tensor, "blocks operations"]
    at_widths: Float[Tensor, "pairs widths next operations"] | None = None

    @classmethod
    def of(cls, space: Space, patch_px: int, measure: Callable[[nn.Module, int, int], float]) -> LayerCosts:
        """Measure the reductions of a space of layers."""
        full = space.block_channels
        reductions = torch.zeros(space.blocks, len(space.operations), dtype=torch.float64)
        for block in range(1, space.blocks):
            reductions[block] = _reductions(space, block, (full[block - 1], full[block]), patch_px, measure)
        if not space.widths:
            return cls(space.layers, reductions)
        pairs = zip(space.block_widths, space.block_widths[1:], strict=False)
        rows = [
            torch.stack([_reductions(space, block, (c, n), patch_px, measure) for c in widths for n in after])
            for block, (widths, after) in enumerate(pairs, 1)
        ]
        count = len(space.widths)
        at_widths = torch.stack(rows) if rows else reductions.new_zeros(0, count**2, len(space.operations))
        return cls(space.layers, reductions, at_widths.view(len(rows), count, count, len(space.operations)))

    def at(self, weights: Float[Tensor, "blocks widths"]) -> LayerCosts:
        """Compute the expected costs under probabilities of widths, with gradients."""
        assert self.at_widths is not None
        table = self.at_widths.to(weights.dtype)
        found = torch.einsum("bi,bj,bijo->bo", weights[:-1], weights[1:], table)
        return LayerCosts(self.rows, torch.cat([found.new_zeros(1, found.shape[1]), found]))

    def uses(self, depths: Float[Tensor, "blocks"]) -> Float[Tensor, "blocks rows"]:
        """Count the layers of each block that each row gives; between two depths, the next layer counts in part."""
        uses = torch.zeros(len(depths), self.rows.count, dtype=depths.dtype)
        for block, depth in enumerate(depths):
            for layer in range(self.rows.depths[block] if self.rows.per == "layer" else 1):
                share = (depth - layer).clamp(0, 1) if self.rows.per == "layer" else depth
                uses[block, self.rows.layer(block, layer)] = share
        return uses

    def expected_uses(self, weights: Float[Tensor, "blocks depths"]) -> Float[Tensor, "blocks rows"]:
        """Compute the expected uses under probabilities of the depths from 1 on, with gradients to them."""
        depths = torch.arange(1, weights.shape[1] + 1, dtype=weights.dtype)
        each = torch.stack([self.uses(depth.repeat(len(weights))) for depth in depths])
        return torch.einsum("bd,dbr->br", weights, each)

    def blocks(
        self,
        operations: Float[Tensor, "blocks operations"],
        probabilities: Float[Tensor, "rows operations"],
        uses: Float[Tensor, "blocks rows"],
    ) -> Float[Tensor, "blocks"]:
        """Compute the expected cost of the layers of each block and of the reduction before it.

        Args:
            operations: Cost of each operation in one layer of each block.
            probabilities: Probability of each operation in each row.
            uses: Number of layers of each block that each row gives.
        """
        layers = torch.einsum("br,ro,bo->b", uses, probabilities, operations.to(probabilities.dtype))
        rows = [self.rows.reduction(block) if block else 0 for block in range(len(uses))]
        return layers + (probabilities[rows] * self.reductions.to(probabilities.dtype)).sum(-1)


def _reductions(
    space: Space,
    block: int,
    channels: tuple[int, int],
    patch_px: int,
    measure: Callable[[nn.Module, int, int], float],
) -> Float[Tensor, "operations"]:
    side = -(-patch_px // 2 ** (block - 1))
    costs: list[float] = []
    for name in space.operations:
        build = OPERATIONS[name].build_reduction
        assert build is not None, f"{name} cannot be a reduction"
        costs.append(float(measure(OnMap(build(*channels, final_norm)), channels[0], side)))
    return torch.tensor(costs, dtype=torch.float64)
