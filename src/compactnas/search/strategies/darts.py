"""DARTS (Liu et al. 2019), first order: an edge is the mixture of all its operations."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from compactnas.config import SearchConfig
from compactnas.search.architecture import Architecture
from compactnas.search.sampling import DepthMode, Draw
from compactnas.search.strategies._mixture import draw_mixture
from compactnas.search.strategy import Strategy


@dataclass(frozen=True)
class Darts(Strategy):
    """DARTS: the operations of an edge, weighted by the softmax of alpha (eq. 2).

    Attributes:
        depth_mode: How depths are drawn; their noise is the only one.
    """

    depth_mode: DepthMode = "mixture"

    @classmethod
    def build(cls, config: SearchConfig) -> Darts:
        """Build the strategy from the options of a search."""
        return cls(config.depth_mode)

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        """Return the mixture for one forward pass."""
        with torch.set_grad_enabled(gradient):
            operations = architecture.probabilities()
        return draw_mixture(architecture, operations, tau, generator, self.depth_mode, gradient=gradient)


STRATEGY = Darts
