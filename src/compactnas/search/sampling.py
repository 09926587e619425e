"""Draws from an architecture, and the parts that all strategies draw in the same way.

Sources: GDAS (Dong and Yang 2019, eq. 3 to 7) for the Gumbel-softmax, section 3 of the paper for depths, TAS (Dong and
Yang 2019) for widths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from compactnas.nn.sample import Mix, Mixture, Sample, moved
from compactnas.search.architecture import Alpha, Architecture, DepthLogits

DRAWN_WIDTHS = 2
"""Widths of a block that run in a draw (TAS, section 3.1: |I| = 2)."""

DepthMode = Literal["mixture", "sample"]
"""`mixture` (the paper): every cell of a block runs, and the block's output is their sum weighted by the
Gumbel-softmax of its depth logits. `sample`: one depth is drawn, and cells past it do not run."""


class Draw(NamedTuple):
    """An architecture that a strategy drew.

    Attributes:
        sample: Architecture that the supernet runs.
        operations: Relaxed probabilities of the operations, with a gradient to alpha.
        depths: Weights of the depths, with a gradient to their logits; None if depths are fixed.
    """

    sample: Sample
    operations: Alpha
    depths: DepthLogits | None


class DrawnBackbone(NamedTuple):
    """The part of a sample that is not the cell: depths and widths of the blocks.

    Attributes:
        depths: Number of cells that run in each block.
        mix: Combines the outputs of the cells of a block; None takes the last output.
        depth_weights: Weights of the depths, with a gradient to their logits; None if depths are fixed.
        widths: Channels at which each block runs; None if widths are not searched for.
        width_weights: Weight of each block's output at each of its widths; None if widths are not searched for.
    """

    depths: tuple[int, ...]
    mix: Mix | None = None
    depth_weights: DepthLogits | None = None
    widths: tuple[tuple[int, ...], ...] | None = None
    width_weights: Float[Tensor, "blocks drawn"] | None = None

    def with_cell(
        self,
        path: tuple[int, ...],
        operations: Alpha,
        *,
        weights: Float[Tensor, "edges"] | None = None,
        silent: Float[Tensor, "edges"] | None = None,
        mixture: Mixture | None = None,
    ) -> Draw:
        """Complete the draw with what was drawn for the cell; see `Sample` for the arguments.

        Args:
            path: Operation of each edge that runs.
            operations: Relaxed probabilities of the operations.
            weights: Weight of each edge's operation.
            silent: Sum of the weights of each edge's other operations.
            mixture: Operations that run side by side.
        """
        sample = Sample(path, self.depths, weights, silent, self.mix, mixture, self.widths, self.width_weights)
        return Draw(sample, operations, self.depth_weights)


def draw_backbone(
    architecture: Architecture, tau: float, generator: torch.Generator, mode: DepthMode, *, gradient: bool
) -> DrawnBackbone:
    """Draw widths and depths, in this order, if they are searched for.

    A depth is drawn by the Gumbel-softmax of its logits, two widths by the rule of TAS. Call it after the operations
    are drawn: the order of random numbers is part of what a seed means.
    """
    widths, width_weights = None, None
    with torch.set_grad_enabled(gradient):
        if architecture.width_logits is not None:
            widths, width_weights = _draw_widths(architecture, tau, generator)
        if architecture.fixed_depths is not None:
            return DrawnBackbone(architecture.fixed_depths, None, None, widths, width_weights)
        weights = gumbel_softmax(architecture.depth_logits, tau, generator)
    first, last = architecture.space.min_depth, architecture.space.max_depth
    if mode == "mixture":
        return DrawnBackbone((last,) * len(weights), _DepthMixture(weights, first), weights, widths, width_weights)
    drawn = weights.argmax(dim=-1)
    mix = _DrawnDepth(straight_through(weights, drawn), first) if gradient else None
    return DrawnBackbone(tuple(first + d for d in drawn.tolist()), mix, weights, widths, width_weights)


def expected_backbone(architecture: Architecture, mode: DepthMode) -> DrawnBackbone:
    """Make the backbone of a measurement without noise and without gradients.

    Depths are mixed by their probabilities, or are the most probable ones with the mode ``sample``. Each block has its
    most probable width.
    """
    channels = architecture.derived_widths()
    widths = tuple((width,) for width in channels) if channels else None
    if architecture.fixed_depths is not None or mode == "sample":
        return DrawnBackbone(architecture.derived_depths(), widths=widths)
    weights, space = architecture.depth_probabilities().detach(), architecture.space
    depths = (space.max_depth,) * space.blocks
    return DrawnBackbone(depths, _DepthMixture(weights, space.min_depth), weights, widths)


def _draw_widths(
    architecture: Architecture, tau: float, generator: torch.Generator
) -> tuple[tuple[tuple[int, ...], ...], Float[Tensor, "blocks drawn"]]:
    """Draw two widths of each block without replacement by the Gumbel-softmax; their weights sum to 1 (TAS, eq. 2)."""
    assert architecture.width_logits is not None
    p = gumbel_softmax(architecture.width_logits, tau, generator)
    drawn = torch.multinomial(p.detach() + 1e-7, DRAWN_WIDTHS, generator=generator)
    weights = p.gather(-1, drawn)
    rows = zip(architecture.space.block_widths, drawn.tolist(), strict=True)
    return tuple(tuple(row[i] for i in indices) for row, indices in rows), weights / weights.sum(dim=-1, keepdim=True)


def gumbel_softmax(
    logits: Float[Tensor, "rows choices"], tau: float, generator: torch.Generator
) -> Float[Tensor, "rows choices"]:
    """softmax((log_softmax(logits) + g) / tau) with g = -log(Exp(1)); draws again if the result is not finite."""
    while True:
        noise = -torch.empty_like(logits, requires_grad=False).exponential_(generator=generator).log()
        p = ((logits.log_softmax(dim=-1) + noise) / tau).softmax(dim=-1)
        if bool(p.isfinite().all()):
            return p


def straight_through(p: Float[Tensor, "rows choices"], index: Int[Tensor, "rows"]) -> Float[Tensor, "rows choices"]:
    """One-hot in the forward pass, the gradient of p in the backward pass."""
    hard = torch.zeros_like(p).scatter_(-1, index.unsqueeze(-1), 1.0)
    return hard + (p - p.detach())


@dataclass(frozen=True)
class _WeightedDepths(Mix):
    """Weights of the depths of each block; column d stands for a depth of ``first`` + d."""

    weights: Tensor
    first: int

    def to(self, device: torch.device) -> Mix:
        return replace(self, weights=moved(self.weights, device))


class _DepthMixture(_WeightedDepths):
    """Block output of the paper: the sum over depths j of Omega_j times the output of cell j."""

    def __call__(self, outputs: Sequence[Tensor], block: int) -> Tensor:
        row = self.weights[block]
        terms = [row[d] * outputs[self.first - 1 + d] for d in range(len(row))]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total


class _DrawnDepth(_WeightedDepths):
    """Output at the drawn depth; the logits of all depths whose cells ran get a gradient."""

    def __call__(self, outputs: Sequence[Tensor], block: int) -> Tensor:
        row = self.weights[block]
        earlier = [y.detach() for y in outputs[self.first - 1 : -1]]
        return _depth_gate(outputs[-1], row, *earlier)


class _DepthGate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, weights: Tensor, *earlier: Tensor) -> Tensor:
        ctx.save_for_backward(*earlier, y)
        ctx.weights = weights.shape, weights.dtype
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        shape, dtype = ctx.weights
        weights = grad.new_zeros(shape, dtype=dtype)
        for d, y in enumerate(ctx.saved_tensors):
            weights[d] = (grad.to(dtype) * y).sum(dtype=dtype)
        return (grad, weights, *([None] * (len(ctx.saved_tensors) - 1)))


_depth_gate: Callable[..., Tensor] = _DepthGate.apply
