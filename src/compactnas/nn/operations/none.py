"""`none`: no connection."""

from __future__ import annotations

import torch
from torch import nn

from compactnas.nn.state import EdgeWeight, Map, State
from compactnas.space.operation_specs import Operation


class Zero(nn.Module):
    """A map of zeros; a cell never runs it."""

    def forward(self, state: State, weight: EdgeWeight | None = None) -> Map:
        return torch.zeros_like(state.x)


OPERATION = Operation(
    build=lambda channels, norm: Zero(),
    label="none",
    colours=("#a3acb7", "#6d7885"),
    line="stroke-width: 1.6; stroke-dasharray: 1 5; stroke-linecap: round;",
)
