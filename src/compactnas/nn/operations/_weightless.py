"""Operations without weights: zeros, the identity and pools."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from compactnas.nn.norms import Norm
from compactnas.nn.separable import average_pool
from compactnas.nn.state import EdgeWeight, Map, State, weighed


class Zero(nn.Module):
    """A map of zeros; a cell never runs it."""

    def forward(self, state: State, weight: EdgeWeight | None = None) -> Map:
        return torch.zeros_like(state.x)


class Skip(nn.Module):
    """The identity."""

    map_writes = 0
    """Number of maps that a pass is counted to write (`compactnas.cost.counter`)."""

    def forward(self, state: State, weight: EdgeWeight | None = None) -> Map:
        return weighed(state.x, weight)


class AveragePool(nn.Module):
    """Mean over the pixels of a 3x3 window that lie inside the map."""

    def forward(self, state: State, weight: EdgeWeight | None = None) -> Map:
        return weighed(average_pool(state.x), weight)


class MaxPool(nn.Module):
    """Maximum over a 3x3 window."""

    def forward(self, state: State, weight: EdgeWeight | None = None) -> Map:
        return weighed(F.max_pool2d(state.x, 3, stride=1, padding=1), weight)


KINDS: dict[str, type[nn.Module]] = {"zero": Zero, "skip": Skip, "average": AveragePool, "maximum": MaxPool}


def weightless(channels: int, norm: Norm, *, kind: str) -> nn.Module:
    """Build an operation without weights, which needs neither a number of channels nor a normalisation."""
    return KINDS[kind]()
