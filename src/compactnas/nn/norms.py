"""Normalisation layers: of final networks, of a supernet's candidates, of its fixed parts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from compactnas.distributed.sync_layers import memory_of
from compactnas.nn.state import Map, concatenate

Norm = Callable[[int], nn.Module]
"""Function that makes the normalisation for a number of channels."""

final_norm: Norm = nn.BatchNorm2d
"""Of a network that is trained for use: affine, with running averages."""

candidate_norm: Norm = partial(nn.BatchNorm2d, affine=False, track_running_stats=False)
"""Of the candidates in a supernet: running averages over mixed paths mean nothing."""

fixed_norm: Norm = partial(nn.BatchNorm2d, track_running_stats=False)
"""Of the parts of a supernet that always run."""


class HalfInstanceNorm(nn.Module):
    """Half of the channels by each map's own mean and deviation, the others by `norm` (IBN-Net, Pan et al. 2018).

    Brightness and contrast, which differ from place to place and from day to day, are gone from the one half and kept
    in the other.
    """

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.own = nn.InstanceNorm2d(channels // 2, affine=True)
        self.shared = norm(channels - channels // 2)

    def forward(self, x: Map) -> Map:
        first = self.own.num_features
        own = self.own(x[:, :first]).contiguous(memory_format=memory_of(x))
        return concatenate([own, self.shared(x[:, first:])])
