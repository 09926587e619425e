"""ProxylessNAS (Cai, Zhu and Han 2019): one path for the weights, two for the architecture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from compactnas.config import SearchConfig
from compactnas.nn.sample import Mixture
from compactnas.search.architecture import Alpha, Architecture
from compactnas.search.sampling import DepthMode, Draw, draw_backbone, straight_through
from compactnas.search.strategy import BACKWARD_TO_MAPS, FORWARD, Strategy

LEAST = 1e-12
"""Smallest probability of an operation in a draw: a softmax can give zero, and two operations are drawn."""


@dataclass(frozen=True)
class Proxyless(Strategy):
    """ProxylessNAS's binary gates (section 3.2).

    A step of the weights runs one operation of each edge, drawn by the softmax of alpha. A step of the architecture
    draws two without replacement and, by the softmax of the two, the one whose gate is open. The other one runs too,
    but only its gate gets a gradient.

    Attributes:
        depth_mode: How depths are drawn.
    """

    single_path: ClassVar[bool] = True
    alpha_passes: ClassVar[int] = FORWARD + BACKWARD_TO_MAPS + FORWARD  # the open path; the other one for its gate
    least_operations: ClassVar[int] = 2
    betas: ClassVar[tuple[float, float]] = (0.0, 0.999)

    depth_mode: DepthMode = "mixture"

    @classmethod
    def build(cls, config: SearchConfig) -> Proxyless:
        """Build the strategy from the options of a search."""
        return cls(config.depth_mode)

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        """Draw one operation of each edge, or two with ``gradient``."""
        with torch.set_grad_enabled(gradient):
            operations = architecture.probabilities()
        chances, mixture = operations.detach().clamp_min(LEAST), None
        if gradient:
            pair = torch.multinomial(chances, 2, generator=generator)
            shares = architecture.alpha.gather(-1, pair).softmax(dim=-1)
            opened = torch.multinomial(shares.detach().clamp_min(LEAST), 1, generator=generator)
            gates = torch.zeros_like(operations).scatter(-1, pair, straight_through(shares, opened.squeeze(-1)))
            candidates = tuple((first, second) for first, second in pair.tolist())
            path, mixture = pair.gather(-1, opened), Mixture(candidates, gates, gates=True)
        else:
            path = torch.multinomial(chances, 1, generator=generator)
        backbone = draw_backbone(architecture, tau, generator, self.depth_mode, gradient=gradient)
        return backbone.with_cell(tuple(path.flatten().tolist()), operations, mixture=mixture)

    def project_alpha(self, architecture: Architecture, draw: Draw, before: Alpha) -> None:
        """Keep the step of the two drawn logits only, shifted so that the other probabilities stay as they were.

        The sum of the two exponentials is then what it was before (section 3.2).
        """
        assert draw.sample.mixture is not None
        pair = torch.tensor(draw.sample.mixture.candidates)
        with torch.no_grad():
            stepped = architecture.alpha.gather(-1, pair)
            shift = before.gather(-1, pair).logsumexp(-1, keepdim=True) - stepped.logsumexp(-1, keepdim=True)
            architecture.alpha.copy_(before.scatter(-1, pair, stepped + shift))


STRATEGY = Proxyless
