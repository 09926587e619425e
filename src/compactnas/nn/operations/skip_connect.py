"""`skip_connect`: the identity."""

from __future__ import annotations

from torch import nn

from compactnas.nn.state import EdgeWeight, Map, State, weighed
from compactnas.space.operation_specs import Operation


class Skip(nn.Module):
    """The identity."""

    map_writes = 0
    """Number of maps that a pass is counted to write (`compactnas.cost.counter`)."""

    def forward(self, state: State, weight: EdgeWeight | None = None) -> Map:
        return weighed(state.x, weight)


OPERATION = Operation(
    build=lambda channels, norm: Skip(),
    label="skip",
    colours=("#3c4a5a", "#c3ced9"),
    line="stroke-width: 1.6;",
)
