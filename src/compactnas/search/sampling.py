"""The architecture's parameters, what a draw from them is, and how a genotype is derived.

Alpha and its generator live on the CPU: a draw waits for no device, and every rank of a
distributed run draws the same. Sources: GDAS (Dong and Yang 2019, eq. 3 to 7) for the Gumbel-softmax, the paper's
section 3, TAS (Dong and Yang 2019) for the depth. `compactnas.search.strategies` holds the samplers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from compactnas.nn.network import Mix, Sample
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space

Alpha = Float[Tensor, "edges operations"]
DepthLogits = Float[Tensor, "blocks depths"]
WidthLogits = Float[Tensor, "blocks widths"]

DRAWN_WIDTHS = 2
"""Widths of a block that run in a draw (TAS, section 3.1: |I| = 2)."""


class Architecture(nn.Module):
    """A = {A_cell, Omega_depth} of the paper: what the architecture step trains.

    Args:
        space: what is chosen from.
        search_depth: setting D; without it every block has `initial_depth` cells.
        initial_depth: depth of each block at the start.
        depth_logit: how far its logit starts above the others.
        generator: draws the first alpha, 1e-3 x normal.
    """

    def __init__(
        self, space: Space, search_depth: bool, initial_depth: int, depth_logit: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.space = space
        self.fixed_depths = None if search_depth else (initial_depth,) * space.blocks
        self.alpha = nn.Parameter(1e-3 * torch.randn(len(space.edges), len(space.operations), generator=generator))
        logits = torch.zeros(space.blocks, space.max_depth - space.min_depth + 1)
        if search_depth:
            logits[:, initial_depth - space.min_depth] = depth_logit
        self.depth_logits = nn.Parameter(logits, requires_grad=search_depth)
        self.width_logits = nn.Parameter(torch.zeros(space.blocks, len(space.widths))) if space.widths else None

    @property
    def built_depths(self) -> tuple[int, ...]:
        """Cells that the supernet needs in each block."""
        return self.fixed_depths or (self.space.max_depth,) * self.space.blocks

    def probabilities(self) -> Alpha:
        """Softmax of alpha: the probability of each operation on each edge."""
        return self.alpha.softmax(dim=-1)

    def depth_probabilities(self) -> DepthLogits:
        """Softmax of the depth logits; column d stands for a depth of min_depth + d."""
        return self.depth_logits.softmax(dim=-1)

    def depth_weights(self) -> Float[Tensor, "blocks all_depths"]:
        """Probability of each depth from 1 on; one-hot where depth is fixed. Without gradient."""
        built = self.built_depths
        weights = torch.zeros(len(built), max(built), dtype=self.alpha.dtype)
        if self.fixed_depths is not None:
            for block, depth in enumerate(built):
                weights[block, depth - 1] = 1
        else:
            weights[:, self.space.min_depth - 1 :] = self.depth_probabilities().detach()
        return weights

    def mean_depths(self, weights: DepthLogits | None = None) -> Float[Tensor, "blocks"]:
        """Expected depth of each block under these weights, or under the softmax; without gradient."""
        if self.fixed_depths is not None:
            return torch.tensor(self.fixed_depths, dtype=self.alpha.dtype)
        weights = self.depth_probabilities() if weights is None else weights
        return weights.detach() @ torch.arange(self.space.min_depth, self.space.max_depth + 1, dtype=weights.dtype)

    def derived_depths(self) -> tuple[int, ...]:
        """The most probable depth of each block."""
        if self.fixed_depths is not None:
            return self.fixed_depths
        return tuple(self.space.min_depth + int(d) for d in self.depth_logits.argmax(dim=-1))

    def width_probabilities(self) -> WidthLogits | None:
        """Softmax of the width logits; None where widths are not searched for."""
        return None if self.width_logits is None else self.width_logits.softmax(dim=-1)

    def derived_widths(self) -> tuple[int, ...]:
        """Channels of the most probable width of each block; empty where widths are not searched for."""
        if self.width_logits is None:
            return ()
        likeliest = self.width_logits.argmax(dim=-1).tolist()
        return tuple(row[place] for row, place in zip(self.space.block_widths, likeliest, strict=True))

    def entropy(self) -> float:
        """Mean entropy of the edges' operations, in nats."""
        p = self.probabilities().detach()
        return float(-(p * p.clamp_min(1e-12).log()).sum(dim=-1).mean())


class Draw(NamedTuple):
    """What a strategy drew.

    Attributes:
        sample: what the supernet runs.
        operations: relaxed probabilities of the operations, with their path to alpha.
        depths: weights of the depths, with their path to the logits; None where depth is fixed.
    """

    sample: Sample
    operations: Alpha
    depths: DepthLogits | None


@runtime_checkable
class Sampler(Protocol):
    """How a strategy draws (`compactnas.search.strategies`)."""

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        """Draw one architecture for one forward pass; without `gradient` nothing leads back to it."""
        ...


DepthMode = Literal["mixture", "sample"]
"""`mixture` (the paper): every cell of a block runs, and the block's output is their sum weighted by the
Gumbel-softmax of its depth logits. `sample`: a depth is drawn, cells past it do not run."""


def with_backbone(
    architecture: Architecture,
    sample: Sample,
    operations: Alpha,
    tau: float,
    generator: torch.Generator,
    mode: DepthMode,
    *,
    gradient: bool,
) -> Draw:
    """The draw of a cell's sample with its backbone's widths and depths, where these are searched for.

    A depth is drawn by the Gumbel-softmax of its logits; of widths two, by TAS's rule.
    """
    if architecture.width_logits is not None:
        with torch.set_grad_enabled(gradient):
            sample = _with_widths(architecture.space, architecture.width_logits, sample, tau, generator)
    if architecture.fixed_depths is not None:
        return Draw(sample._replace(depths=architecture.fixed_depths), operations, None)
    with torch.set_grad_enabled(gradient):
        depths = gumbel_softmax(architecture.depth_logits, tau, generator)
    first, last = architecture.space.min_depth, architecture.space.max_depth
    mix: Mix | None
    if mode == "mixture":
        cells = (last,) * len(depths)
        mix = _Mixture(depths, first)
    else:
        drawn = depths.argmax(dim=-1)
        cells = tuple(first + d for d in drawn.tolist())
        mix = _DrawnDepth(straight_through(depths, drawn), first) if gradient else None
    return Draw(sample._replace(depths=cells, mix=mix), operations, depths)


def _with_widths(space: Space, logits: WidthLogits, sample: Sample, tau: float, generator: torch.Generator) -> Sample:
    """Two widths of each block, drawn without replacement by the Gumbel-softmax, with weights of sum 1 (TAS, eq. 2)."""
    p = gumbel_softmax(logits, tau, generator)
    drawn = torch.multinomial(p.detach() + 1e-7, DRAWN_WIDTHS, generator=generator)
    weights = p.gather(-1, drawn)
    widths = [
        tuple(row[place] for place in places) for row, places in zip(space.block_widths, drawn.tolist(), strict=True)
    ]
    return sample._replace(widths=tuple(widths), width_weights=weights / weights.sum(dim=-1, keepdim=True))


def gumbel_softmax(
    logits: Float[Tensor, "rows choices"], tau: float, generator: torch.Generator
) -> Float[Tensor, "rows choices"]:
    """softmax((log_softmax(logits) + g) / tau) with g = -log(Exp(1)), redrawn where it is not finite."""
    while True:
        noise = -torch.empty_like(logits, requires_grad=False).exponential_(generator=generator).log()
        p = ((logits.log_softmax(dim=-1) + noise) / tau).softmax(dim=-1)
        if bool(p.isfinite().all()):
            return p


def straight_through(p: Float[Tensor, "rows choices"], index: Int[Tensor, "rows"]) -> Float[Tensor, "rows choices"]:
    """One-hot in the forward pass, the gradient of p in the backward pass."""
    hard = torch.zeros_like(p).scatter_(-1, index.unsqueeze(-1), 1.0)
    return hard + (p - p.detach())


class _Mixture:
    """The paper's block output: the sum over depths j of Omega_j times the output of cell j."""

    def __init__(self, weights: Tensor, first: int) -> None:
        self.weights, self.first = weights, first

    def __call__(self, outputs: Sequence[Tensor], block: int) -> Tensor:
        row = self.weights[block].to(outputs[0].device)
        terms = [row[d] * outputs[self.first - 1 + d] for d in range(len(row))]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return total


class _DrawnDepth:
    """The output at the drawn depth; the logits of every depth whose cells ran get a gradient."""

    def __init__(self, weights: Tensor, first: int) -> None:
        self.weights, self.first = weights, first

    def __call__(self, outputs: Sequence[Tensor], block: int) -> Tensor:
        row = self.weights[block].to(outputs[-1].device)
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


def derive(architecture: Architecture) -> Genotype:
    """The strongest operation of each edge, the most probable depth and width of each block (paper, section 3).

    With `inputs_per_node` a node keeps that many edges, those with the strongest operations other
    than `none`; otherwise all edges stay, and `none` may win. Should `none` cut the output off
    from every input, the last node's strongest other operation is put in its place.
    """
    space = architecture.space
    p = architecture.probabilities().detach()
    nodes: list[list[tuple[str, int]]] = [[] for _ in range(space.computed)]
    for node in range(space.computed):
        rows = [(e, source) for e, (n, source) in enumerate(space.edges) if n == node]
        if space.inputs_per_node:
            best = sorted(((_strongest(p[e], space.operations), e, s) for e, s in rows), reverse=True)
            kept = sorted(best[: space.inputs_per_node], key=lambda item: item[2])
            nodes[node] = [(name, s) for (_, name), _, s in kept]
        else:
            nodes[node] = [(space.operations[int(p[e].argmax())], s) for e, s in rows]
    depths = architecture.derived_depths()

    def genotype() -> Genotype:
        widths = architecture.derived_widths()
        return Genotype(tuple(tuple(edges) for edges in nodes), depths, space.channels, space.layout, widths)

    if not genotype().connected:
        edge = space.edges.index((space.computed - 1, 0))
        nodes[-1] = [(_strongest(p[edge], space.operations)[1], 0), *[pair for pair in nodes[-1] if pair[1] != 0]]
    return genotype()


def _strongest(row: Tensor, operations: Sequence[str]) -> tuple[float, str]:
    return max((float(row[i]), name) for i, name in enumerate(operations) if name != "none")
