"""GDAS (Dong and Yang 2019): one operation of each edge runs, drawn by a Gumbel-softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from compactnas.nn.network import Sample
from compactnas.search.sampling import Architecture, DepthMode, Draw, gumbel_softmax, straight_through, with_backbone
from compactnas.space.search_space import Space


@dataclass(frozen=True)
class Gdas:
    """GDAS's sampler: a Gumbel-softmax of which each edge runs the strongest operation only.

    Attributes:
        unsampled_gradient: `none`, or `published`: each operation that did not run gets the sum
            of the node's gradient, as the published code has it by adding its weight (of value
            zero) to the node.
        depth_mode: how depths are drawn.
        inputs: edges of a node that run: those whose strongest operation other than `none` is the
            strongest under the same noise. 0: every edge runs its strongest operation.
    """

    unsampled_gradient: Literal["none", "published"] = "none"
    depth_mode: DepthMode = "mixture"
    inputs: int = 0

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        """Draw one architecture for one forward pass; without `gradient` nothing leads back to it."""
        with torch.set_grad_enabled(gradient):
            operations = gumbel_softmax(architecture.alpha, tau, generator)
            path, runs = self._path(architecture.space, operations.detach())
            sample = Sample(tuple(index if kept else -1 for index, kept in zip(path.tolist(), runs, strict=True)), ())
            if gradient:
                weights = straight_through(operations, path)
                sampled = weights.gather(-1, path.unsqueeze(-1)).squeeze(-1)
                silent = weights.sum(dim=-1) - sampled if self.unsampled_gradient == "published" else None
                sample = sample._replace(weights=sampled, silent=silent)
        return with_backbone(architecture, sample, operations, tau, generator, self.depth_mode, gradient=gradient)

    def _path(
        self, space: Space, operations: Float[Tensor, "edges operations"]
    ) -> tuple[Int[Tensor, "edges"], list[bool]]:
        """The operation of each edge, and whether the edge runs."""
        if not self.inputs:
            return operations.argmax(dim=-1), [True] * len(space.edges)
        if "none" in space.operations:
            operations = operations.index_fill(-1, torch.tensor(space.operations.index("none")), 0.0)
        strength, path = operations.max(dim=-1)
        runs = [False] * len(space.edges)
        for node in range(space.computed):
            edges = [e for e, (target, _) in enumerate(space.edges) if target == node]
            for edge in sorted(edges, key=lambda e: -float(strength[e]))[: self.inputs]:
                runs[edge] = True
        return path, runs
