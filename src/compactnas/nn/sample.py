"""One architecture drawn from the space: the argument of a supernet's forward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from compactnas.nn.state import EdgeWeight

Mix = Callable[[Sequence[Tensor], int], Tensor]
"""Function from the outputs of a block's cells that ran, and the block's index, to the block's output."""


class Mixture(NamedTuple):
    """Several candidates of each edge that run side by side.

    Attributes:
        candidates: Indices of the candidates that run, for each edge.
        weights: Weight of each candidate, with a path to alpha.
        gates: Whether the weights are gates: one for the candidate of the sample's path and zero for the others, which
            then run for the gradient of their gate alone.
    """

    candidates: tuple[tuple[int, ...], ...]
    weights: Float[Tensor, "edges operations"]
    gates: bool = False


class Sample(NamedTuple):
    """One architecture drawn from the space: what a forward pass runs.

    Attributes:
        path: Index of the candidate that runs on each edge; -1 if none does.
        depths: Number of cells that run in each block.
        weights: Weight of each edge's operation: one in value, with a path to alpha. None if nothing leads back to
            alpha.
        silent: Sum of the weights of the operations that do not run, for each edge: zero in value, added to the node
            that the edge leads to. None if these operations get no gradient.
        mix: Function of the outputs of a block's cells and the block's number that makes the block's output; None takes
            the last cell's.
        mixture: Candidates that run side by side; None runs the path alone.
        widths: Numbers of channels at which each block runs, one after the other; None runs all its channels.
        width_weights: Weight of the block's result at each of these widths; None if there is one width.
    """

    path: tuple[int, ...]
    depths: tuple[int, ...]
    weights: Float[Tensor, "edges"] | None = None
    silent: Float[Tensor, "edges"] | None = None
    mix: Mix | None = None
    mixture: Mixture | None = None
    widths: tuple[tuple[int, ...], ...] | None = None
    width_weights: Float[Tensor, "blocks drawn"] | None = None

    def to(self, device: torch.device) -> Sample:
        """Move the weights to a device; the mix of depths moves its own when it is called."""
        mixture = self.mixture and self.mixture._replace(weights=self.mixture.weights.to(device))
        moved = {name: value.to(device) for name in WEIGHTS if (value := getattr(self, name)) is not None}
        return self._replace(mixture=mixture, **moved)

    def candidates(self, edge: int) -> tuple[int, ...]:
        """Indices of the candidates of an edge that run."""
        if self.mixture is not None:
            return self.mixture.candidates[edge]
        return () if self.path[edge] < 0 else (self.path[edge],)

    def weight(self, edge: int, index: int) -> EdgeWeight | None:
        """Weight of a candidate of an edge; None if nothing leads back to alpha."""
        if self.mixture is not None:
            return EdgeWeight(self.mixture.weights[edge, index], is_one=self.mixture.gates)
        return None if self.weights is None else EdgeWeight(self.weights[edge], is_one=True)

    def is_closed(self, edge: int, index: int) -> bool:
        """Check whether a candidate runs behind a closed gate: for the gradient of the gate alone."""
        return self.mixture is not None and self.mixture.gates and index != self.path[edge]


WEIGHTS = ("weights", "silent", "width_weights")
"""Fields of a sample that hold tensors."""
