"""ProxylessNAS (Cai, Zhu and Han 2019): one path for the weights, two for the architecture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from compactnas.nn.network import Mixture, Sample
from compactnas.search.sampling import Architecture, DepthMode, Draw, straight_through, with_backbone

LEAST = 1e-12
"""Probability of an operation in a draw: a softmax can give zero, and two are drawn."""


@dataclass(frozen=True)
class Proxyless:
    """ProxylessNAS's binary gates (section 3.2).

    A step of the weights runs one operation of each edge, drawn by the softmax of alpha. A step of the architecture
    draws two without replacement, and by the softmax of these two the one that is open; the other runs too, but only
    the gradient of its gate is taken.

    Attributes:
        depth_mode: how depths are drawn.
    """

    depth_mode: DepthMode = "mixture"

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        """Draw one path, or with `gradient` two of each edge."""
        with torch.set_grad_enabled(gradient):
            operations = architecture.probabilities()
        chances = operations.detach().clamp_min(LEAST)
        if gradient:
            pair = torch.multinomial(chances, 2, generator=generator)
            shares = architecture.alpha.gather(-1, pair).softmax(dim=-1)
            opened = torch.multinomial(shares.detach().clamp_min(LEAST), 1, generator=generator)
            gates = torch.zeros_like(operations).scatter(-1, pair, straight_through(shares, opened.squeeze(-1)))
            candidates = tuple((first, second) for first, second in pair.tolist())
            path = pair.gather(-1, opened)
            sample = Sample(tuple(path.flatten().tolist()), (), mixture=Mixture(candidates, gates, gates=True))
        else:
            path = torch.multinomial(chances, 1, generator=generator)
            sample = Sample(tuple(path.flatten().tolist()), ())
        return with_backbone(architecture, sample, operations, tau, generator, self.depth_mode, gradient=gradient)


def settle(architecture: Architecture, draw: Draw, before: Float[Tensor, "edges operations"]) -> None:
    """Only the two drawn logits keep their step, shifted so that the other operations' probabilities stay.

    The sum of the two exponentials is then what it was before (section 3.2).
    """
    assert draw.sample.mixture is not None
    pair = torch.tensor(draw.sample.mixture.candidates)
    with torch.no_grad():
        moved = architecture.alpha.gather(-1, pair)
        shift = before.gather(-1, pair).logsumexp(-1, keepdim=True) - moved.logsumexp(-1, keepdim=True)
        architecture.alpha.copy_(before.scatter(-1, pair, moved + shift))
