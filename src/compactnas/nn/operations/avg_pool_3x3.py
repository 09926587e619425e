"""`avg_pool_3x3`: mean over 3x3 pixels."""

from __future__ import annotations

from torch import nn

from compactnas.nn.separable import average_pool
from compactnas.nn.state import EdgeWeight, Map, State, weighed
from compactnas.space.operation_specs import Operation


class AveragePool(nn.Module):
    """Mean over the pixels of a 3x3 window that lie inside the map."""

    def forward(self, state: State, weight: EdgeWeight | None = None) -> Map:
        return weighed(average_pool(state.x), weight)


OPERATION = Operation(
    build=lambda channels, norm: AveragePool(),
    label="avg pool 3x3",
    colours=("#00875f", "#3cc299"),
    line="stroke-dasharray: 2.4 3.6;",
)
