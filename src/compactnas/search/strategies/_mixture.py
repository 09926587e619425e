"""A draw that runs all operations of each edge, for DARTS, SNAS and their variants."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from compactnas.nn.sample import Mixture
from compactnas.search.architecture import Architecture
from compactnas.search.sampling import DepthMode, Draw, draw_backbone


def draw_mixture(
    architecture: Architecture,
    weights: Float[Tensor, "edges operations"],
    tau: float,
    generator: torch.Generator,
    mode: DepthMode,
    *,
    gradient: bool,
) -> Draw:
    """Complete a draw that runs all operations of each edge with these weights; its path is the strongest ones."""
    candidates = (tuple(range(weights.shape[1])),) * len(weights)
    backbone = draw_backbone(architecture, tau, generator, mode, gradient=gradient)
    path = tuple(weights.argmax(dim=-1).tolist())
    return backbone.with_cell(path, weights, mixture=Mixture(candidates, weights))
