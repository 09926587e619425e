"""The trained description of an architecture: alpha, and the logits of depths and widths.

Alpha and its random generator live on the CPU: a draw never waits for a device, and all processes of a distributed
run draw the same. Depths follow section 3 of the paper, widths follow TAS (Dong and Yang 2019).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from compactnas.space.search_space import Space

Alpha = Float[Tensor, "edges operations"]
DepthLogits = Float[Tensor, "blocks depths"]
WidthLogits = Float[Tensor, "blocks widths"]


class Architecture(nn.Module):
    """A = {A_cell, Omega_depth} of the paper: the parameters that the architecture step trains.

    Args:
        space: Search space.
        search_depth: Whether depths are searched for (setting D); otherwise each block has ``initial_depth`` cells.
        initial_depth: Depth of each block at the start.
        depth_logit: Logit of the initial depth at the start; the other depths start at zero.
        generator: Draws the first alpha, 1e-3 times a standard normal.
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
            logits[:, min(max(initial_depth, space.min_depth), space.max_depth) - space.min_depth] = depth_logit
        self.depth_logits = nn.Parameter(logits, requires_grad=search_depth)
        self.width_logits = nn.Parameter(torch.zeros(space.blocks, len(space.widths))) if space.widths else None

    @property
    def built_depths(self) -> tuple[int, ...]:
        """Number of cells that the supernet needs in each block."""
        return self.fixed_depths or (self.space.max_depth,) * self.space.blocks

    def probabilities(self) -> Alpha:
        """Softmax of alpha: the probability of each operation on each edge."""
        return self.alpha.softmax(dim=-1)

    def depth_probabilities(self) -> DepthLogits:
        """Softmax of the depth logits; column d stands for a depth of min_depth + d."""
        return self.depth_logits.softmax(dim=-1)

    def depth_weights(self) -> Float[Tensor, "blocks all_depths"]:
        """Probability of each depth from 1 on, without gradient; one-hot if depths are fixed."""
        built = self.built_depths
        weights = torch.zeros(len(built), max(built), dtype=self.alpha.dtype)
        if self.fixed_depths is not None:
            for block, depth in enumerate(built):
                weights[block, depth - 1] = 1
        else:
            weights[:, self.space.min_depth - 1 :] = self.depth_probabilities().detach()
        return weights

    def mean_depths(self, weights: DepthLogits | None = None) -> Float[Tensor, "blocks"]:
        """Expected depth of each block under ``weights``, by default the softmax; without gradient."""
        if self.fixed_depths is not None:
            return torch.tensor(self.fixed_depths, dtype=self.alpha.dtype)
        weights = self.depth_probabilities() if weights is None else weights
        return weights.detach() @ torch.arange(self.space.min_depth, self.space.max_depth + 1, dtype=weights.dtype)

    def derived_depths(self) -> tuple[int, ...]:
        """Most probable depth of each block."""
        if self.fixed_depths is not None:
            return self.fixed_depths
        return tuple(self.space.min_depth + int(d) for d in self.depth_logits.argmax(dim=-1))

    def width_probabilities(self) -> WidthLogits | None:
        """Softmax of the width logits; None if widths are not searched for."""
        return None if self.width_logits is None else self.width_logits.softmax(dim=-1)

    def derived_widths(self) -> tuple[int, ...]:
        """Channels of the most probable width of each block; empty if widths are not searched for."""
        if self.width_logits is None:
            return ()
        likeliest = self.width_logits.argmax(dim=-1).tolist()
        return tuple(row[place] for row, place in zip(self.space.block_widths, likeliest, strict=True))

    def entropy(self) -> float:
        """Mean entropy of the operations of an edge, in nats."""
        p = self.probabilities().detach()
        return float(-(p * p.clamp_min(1e-12).log()).sum(dim=-1).mean())
