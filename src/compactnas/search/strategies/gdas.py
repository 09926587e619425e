"""GDAS (Dong and Yang 2019): one operation of each edge runs, drawn by a Gumbel-softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from compactnas.config import SearchConfig
from compactnas.search.architecture import Architecture
from compactnas.search.sampling import DepthMode, Draw, draw_backbone, gumbel_softmax, straight_through
from compactnas.search.strategies._beta_decay import beta_decay
from compactnas.search.strategy import Strategy
from compactnas.space.operation_specs import NONE
from compactnas.space.search_space import Space


@dataclass(frozen=True)
class Gdas(Strategy):
    """GDAS: each edge runs the strongest operation of a Gumbel-softmax.

    Attributes:
        unsampled_gradient: Gradient of operations that did not run: `none`, or `published`, the sum of the gradient
            of the node, because the published code adds their weight (of value zero) to the node.
        depth_mode: How depths are drawn.
        inputs: Number of edges of a node that run: those whose strongest operation other than `none` is the
            strongest under the same noise. 0 runs every edge.
        beta_decay: Weight of Beta-decay at the end of the search.
    """

    single_path: ClassVar[bool] = True
    options: ClassVar[tuple[str, ...]] = ("beta_decay", "sampled_inputs", "unsampled_gradient")

    unsampled_gradient: Literal["none", "published"] = "none"
    depth_mode: DepthMode = "mixture"
    inputs: int = 0
    beta_decay: float = 0.0

    @classmethod
    def build(cls, config: SearchConfig) -> Gdas:
        """Build the strategy from the options of a search."""
        return cls(config.unsampled_gradient, config.depth_mode, config.sampled_inputs, config.beta_decay)

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        """Draw one operation of each edge."""
        weights: Tensor | None = None
        silent: Tensor | None = None
        with torch.set_grad_enabled(gradient):
            operations = gumbel_softmax(architecture.alpha, tau, generator)
            strongest, runs = self._path(architecture.space, operations.detach())
            if gradient:
                hard = straight_through(operations, strongest)
                weights = hard.gather(-1, strongest.unsqueeze(-1)).squeeze(-1)
                silent = hard.sum(dim=-1) - weights if self.unsampled_gradient == "published" else None
        path = tuple(index if kept else -1 for index, kept in zip(strongest.tolist(), runs, strict=True))
        backbone = draw_backbone(architecture, tau, generator, self.depth_mode, gradient=gradient)
        return backbone.with_cell(path, operations, weights=weights, silent=silent)

    def penalty(self, architecture: Architecture, draw: Draw, progress: float) -> Float[Tensor, ""] | None:
        """Compute Beta-decay."""
        return beta_decay(architecture, self.beta_decay, progress)

    def _path(
        self, space: Space, operations: Float[Tensor, "edges operations"]
    ) -> tuple[Int[Tensor, "edges"], list[bool]]:
        """Find the operation of each edge, and whether the edge runs."""
        if not self.inputs:
            return operations.argmax(dim=-1), [True] * len(space.edges)
        if NONE in space.operations:
            operations = operations.index_fill(-1, torch.tensor(space.operations.index(NONE)), 0.0)
        strength, path = operations.max(dim=-1)
        runs = [False] * len(space.edges)
        for node in range(space.computed):
            edges = [e for e, (target, _) in enumerate(space.edges) if target == node]
            for edge in sorted(edges, key=lambda e: -float(strength[e]))[: self.inputs]:
                runs[edge] = True
        return path, runs


STRATEGY = Gdas
