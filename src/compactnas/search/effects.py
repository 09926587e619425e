"""What each choice adds to the accuracy of random networks on a trained supernet: main effects of a linear model.

Many random networks are measured, each on one batch of D_V. A ridge regression explains their accuracies by a sum of
effects: one of each operation on each edge against leaving the edge out, one of each depth and of each width of a
block. So one measurement says something about every choice of its network, and the network with the largest sum of
effects can be found within a budget, although nobody has measured it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from compactnas.nn.supernet import certain_sample
from compactnas.search.architecture import Alpha, Architecture, DepthLogits, WidthLogits
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space

POINTS = 100.0
"""Effects of an accuracy of one: they are in points."""

EXPECTED_POINTS = 1.0
"""Standard deviation that effects are expected to have; it decides how strongly the regression shrinks them."""


class Measured(NamedTuple):
    """Random networks, and the score of each.

    Attributes:
        genotypes: The networks.
        scores: Accuracy on a batch, less the mean of the batch and the cost of the network.
    """

    genotypes: Sequence[Genotype]
    scores: Float[Tensor, "networks"]


class Effects(NamedTuple):
    """Effects in points of accuracy.

    Attributes:
        operations: Effect of each operation of each edge, against leaving the edge out.
        depths: Effect of each depth of each block.
        widths: Effect of each width of each block; without columns if widths are not searched for.
    """

    operations: Alpha
    depths: DepthLogits
    widths: WidthLogits

    @classmethod
    def of(cls, space: Space, measured: Measured) -> Effects:
        """Estimate the effects by a ridge regression."""
        x = torch.stack([_choices(space, genotype) for genotype in measured.genotypes])
        x, y = x - x.mean(dim=0), POINTS * (measured.scores - measured.scores.mean())
        noise = float(y.square().mean()) / EXPECTED_POINTS**2
        found = torch.linalg.solve(x.T @ x + max(noise, 1e-9) * torch.eye(x.shape[1], dtype=x.dtype), x.T @ y)
        shapes = _shapes(space)
        parts = found.split([rows * columns for rows, columns in shapes])
        return cls(*(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)))

    def write(self, architecture: Architecture) -> None:
        """Make the effects the logits of an architecture.

        If each layer has operations of its own, the logit of a depth includes the best effect of each layer that it
        runs, because a derivation compares depths by their logits alone.
        """
        with torch.no_grad():
            architecture.alpha.copy_(self.operations)
            if architecture.fixed_depths is None:
                architecture.depth_logits.copy_(self.depths + self._of_layers(architecture.space))
            if architecture.width_logits is not None:
                architecture.width_logits.copy_(self.widths)

    def _of_layers(self, space: Space) -> DepthLogits:
        """Sum the best effects of the layers that each depth runs; zero if layers share their operations."""
        found = torch.zeros_like(self.depths)
        if space.layout_of.residual and space.alpha_per == "layer":
            best = self.operations.max(dim=1).values
            for block in range(space.blocks):
                each = best[[space.layers.layer(block, place) for place in range(space.max_depth)]]
                found[block] = each.cumsum(0)[space.min_depth - 1 :]
        return found


def _shapes(space: Space) -> list[tuple[int, int]]:
    depths = space.max_depth - space.min_depth + 1
    return [(len(space.edges), len(space.operations)), (space.blocks, depths), (space.blocks, len(space.widths))]


def _choices(space: Space, genotype: Genotype) -> Float[Tensor, "effects"]:
    """Mark the choices of a network with ones."""
    sample = certain_sample(space, genotype)
    operations, depths, widths = (torch.zeros(shape, dtype=torch.float64) for shape in _shapes(space))
    for edge, index in enumerate(sample.path):
        if index >= 0:
            operations[edge, index] = 1
    for block, depth in enumerate(genotype.depths):
        if space.min_depth <= depth <= space.max_depth:  # a fixed depth may be another one
            depths[block, depth - space.min_depth] = 1
    if space.widths:
        for block, width in enumerate(genotype.block_channels):
            widths[block, space.block_widths[block].index(width)] = 1
    return torch.cat([operations.flatten(), depths.flatten(), widths.flatten()])
