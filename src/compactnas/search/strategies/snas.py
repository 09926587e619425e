"""SNAS (Xie et al. 2019): the mixture of DARTS, weighted by a Gumbel-softmax."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from compactnas.config import SearchConfig
from compactnas.search.architecture import Architecture
from compactnas.search.sampling import DepthMode, Draw, gumbel_softmax
from compactnas.search.strategies._mixture import draw_mixture
from compactnas.search.strategy import Strategy


@dataclass(frozen=True)
class Snas(Strategy):
    """SNAS's concrete relaxation: the operations of an edge, weighted by a Gumbel-softmax of alpha.

    Attributes:
        depth_mode: How depths are drawn.
    """

    depth_mode: DepthMode = "mixture"

    @classmethod
    def build(cls, config: SearchConfig) -> Snas:
        """Build the strategy from the options of a search."""
        return cls(config.depth_mode)

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        """Draw the weights for one forward pass."""
        with torch.set_grad_enabled(gradient):
            operations = gumbel_softmax(architecture.alpha, tau, generator)
        return draw_mixture(architecture, operations, tau, generator, self.depth_mode, gradient=gradient)


STRATEGY = Snas
