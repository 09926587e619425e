"""An operation without weights, normalised in the supernet as the others are."""

from __future__ import annotations

from torch import nn

from compactnas.nn.norms import Norm, normalised
from compactnas.nn.state import EdgeWeight, Map, State


class Normalized(nn.Module):
    """An operation and the normalisation of the candidates (DARTS's code does this to pools).

    Without it, the output of a pool or a skip is louder than that of a convolution, and the gradient of its weight is
    larger for that reason alone.
    """

    def __init__(self, operation: nn.Module, channels: int, norm: Norm) -> None:
        super().__init__()
        self.operation, self.norm = operation, norm(channels)

    def forward(self, state: State, weight: EdgeWeight | None = None) -> Map:
        y: Map = self.operation(state)
        return normalised(self.norm, y, weight)
