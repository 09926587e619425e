"""Strategies of which every operation runs: DARTS (Liu et al. 2019) and SNAS (Xie et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from compactnas.nn.network import Mixture, Sample
from compactnas.search.sampling import Architecture, DepthMode, Draw, gumbel_softmax, with_backbone


@dataclass(frozen=True)
class Darts:
    """DARTS's mixture: an edge is the sum of its operations, weighted by the softmax of alpha (eq. 2).

    Attributes:
        depth_mode: how depths are drawn; their noise is the only one.
    """

    depth_mode: DepthMode = "mixture"

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        """The mixture for one forward pass; without `gradient` nothing leads back to alpha."""
        with torch.set_grad_enabled(gradient):
            operations = architecture.probabilities()
        sample = every_operation(operations)
        return with_backbone(architecture, sample, operations, tau, generator, self.depth_mode, gradient=gradient)


@dataclass(frozen=True)
class Snas:
    """SNAS's concrete relaxation: the same sum, weighted by a Gumbel-softmax of alpha.

    Attributes:
        depth_mode: how depths are drawn.
    """

    depth_mode: DepthMode = "mixture"

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        """Draw the weights for one forward pass; without `gradient` nothing leads back to alpha."""
        with torch.set_grad_enabled(gradient):
            operations = gumbel_softmax(architecture.alpha, tau, generator)
        sample = every_operation(operations)
        return with_backbone(architecture, sample, operations, tau, generator, self.depth_mode, gradient=gradient)


def every_operation(weights: Float[Tensor, "edges operations"]) -> Sample:
    """A sample that runs all operations of each edge with these weights; its path is the strongest ones."""
    candidates = (tuple(range(weights.shape[1])),) * len(weights)
    return Sample(tuple(weights.argmax(dim=-1).tolist()), (), mixture=Mixture(candidates, weights))
