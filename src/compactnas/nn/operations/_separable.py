"""Depthwise-separable convolutions with normalisation: the building block of `sep_conv` and `dil_conv`."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from compactnas.nn.norms import Norm, normalised
from compactnas.nn.separable import SeparableConv
from compactnas.nn.state import EdgeWeight, Map, State


class Unit(nn.Module):
    """Depthwise k x k, pointwise 1x1 and normalisation; the caller applies the ReLU before it."""

    def __init__(self, channels: int, size: int, dilation: int, norm: Norm) -> None:
        super().__init__()
        self.convolution = SeparableConv(channels, size, dilation)
        self.norm = norm(channels)

    def forward(self, positive: Map, weight: EdgeWeight | None = None) -> Map:
        return normalised(self.norm, self.convolution(positive), weight)


class Separable(nn.Module):
    """ReLU and `Unit`, once or more; the edge's weight scales the last normalisation."""

    def __init__(self, channels: int, norm: Norm, *, size: int, dilation: int, units: int) -> None:
        super().__init__()
        self.units = nn.ModuleList(Unit(channels, size, dilation, norm) for _ in range(units))

    def forward(self, state: State, weight: EdgeWeight | None = None) -> Map:
        *first, last = self.units
        y = state.positive
        for unit in first:
            y = F.relu(unit(y), inplace=True)
        result: Tensor = last(y, weight)
        return result
