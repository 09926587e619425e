"""`max_pool_3x3`: maximum over 3x3 pixels."""

from __future__ import annotations

from torch import nn
from torch.nn import functional as F

from compactnas.nn.state import EdgeWeight, Map, State, weighed
from compactnas.space.operation_specs import Operation


class MaxPool(nn.Module):
    """Maximum over a 3x3 window."""

    def forward(self, state: State, weight: EdgeWeight | None = None) -> Map:
        return weighed(F.max_pool2d(state.x, 3, stride=1, padding=1), weight)


OPERATION = Operation(
    build=lambda channels, norm: MaxPool(),
    label="max pool 3x3",
    colours=("#b0568f", "#dd92c4"),
    line="stroke-dasharray: 2.4 3.6;",
)
