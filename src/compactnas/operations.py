"""The candidate operations of an edge, and the few fixed parts that cells and backbones share.

Source: DARTS (Liu et al. 2019) for the set, GDAS (Dong and Yang 2019) for the fixed parts.
Every map is (batch, channels, height, width); operations of an edge keep its shape.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import gcd

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from compactnas.depthwise import DepthwiseConv

Map = Float[Tensor, "batch channels height width"]
Norm = Callable[[int], nn.Module]
"""Makes the normalisation of so many channels."""

final_norm: Norm = nn.BatchNorm2d
"""Of a network that is trained for use: affine, with running averages."""

candidate_norm: Norm = partial(nn.BatchNorm2d, affine=False, track_running_stats=False)
"""Of the candidates in a supernet: running averages over mixed paths mean nothing."""

fixed_norm: Norm = partial(nn.BatchNorm2d, track_running_stats=False)
"""Of the parts of a supernet that always run."""


def separable_unit(channels: int, size: int, dilation: int, norm: Norm) -> nn.Sequential:
    """ReLU, depthwise k x k, pointwise 1x1, normalisation: the unit that the paper's costs count."""
    return nn.Sequential(
        nn.ReLU(), DepthwiseConv(channels, size, dilation), nn.Conv2d(channels, channels, 1, bias=False), norm(channels)
    )


def _separable(size: int, channels: int, norm: Norm) -> nn.Module:
    return nn.Sequential(*(separable_unit(channels, size, 1, norm) for _ in range(2)))


def _dilated(size: int, channels: int, norm: Norm) -> nn.Module:
    return separable_unit(channels, size, 2, norm)


def _skip(channels: int, norm: Norm) -> nn.Module:
    return nn.Identity()


def _average_pool(channels: int, norm: Norm) -> nn.Module:
    return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)


def _max_pool(channels: int, norm: Norm) -> nn.Module:
    return nn.MaxPool2d(3, stride=1, padding=1)


class Zero(nn.Module):
    """`none`: no connection. It stands in the list of candidates; a cell never runs it."""

    def forward(self, x: Map) -> Map:
        return torch.zeros_like(x)


def _none(channels: int, norm: Norm) -> nn.Module:
    return Zero()


_BUILDERS: dict[str, Callable[[int, Norm], nn.Module]] = {
    "none": _none,
    "skip_connect": _skip,
    "sep_conv_3x3": partial(_separable, 3),
    "sep_conv_5x5": partial(_separable, 5),
    "dil_conv_3x3": partial(_dilated, 3),
    "dil_conv_5x5": partial(_dilated, 5),
    "avg_pool_3x3": _average_pool,
    "max_pool_3x3": _max_pool,
}


def build_operation(name: str, channels: int, norm: Norm) -> nn.Module:
    """The operation of this name at stride 1; it keeps the shape of its input."""
    return _BUILDERS[name](channels, norm)


def pointwise(channels_in: int, channels_out: int, norm: Norm) -> nn.Sequential:
    """ReLU, 1x1 convolution, normalisation: a cell's preprocessing of one input."""
    return nn.Sequential(nn.ReLU(), nn.Conv2d(channels_in, channels_out, 1, bias=False), norm(channels_out))


class FactorizedReduction(nn.Module):
    """ReLU, two 1x1 convolutions of stride 2 on grids one pixel apart, concatenated, normalised."""

    def __init__(self, channels_in: int, channels_out: int, norm: Norm) -> None:
        super().__init__()
        half = channels_out // 2
        self.even = nn.Conv2d(channels_in, half, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(channels_in, channels_out - half, 1, stride=2, bias=False)
        self.norm = norm(channels_out)

    def forward(self, x: Map) -> Float[Tensor, "batch channels_out height_out width_out"]:
        x = F.relu(x)
        shifted = F.pad(x[:, :, 1:, 1:], (0, 1, 0, 1))
        result: Tensor = self.norm(torch.cat([self.even(x), self.odd(shifted)], dim=1))
        return result


class BasicReduction(nn.Module):
    """NAS-Bench-201's residual block of stride 2, which stands between the paper's blocks."""

    def __init__(self, channels_in: int, channels_out: int, norm: Norm) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False),
            norm(channels_out),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
            norm(channels_out),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, stride=2, ceil_mode=True), nn.Conv2d(channels_in, channels_out, 1, bias=False)
        )

    def forward(self, x: Map) -> Float[Tensor, "batch channels_out height_out width_out"]:
        result: Tensor = self.body(x) + self.shortcut(x)
        return result


class CellReduction(nn.Module):
    """GDAS's fixed reduction cell: both inputs convolved and pooled, the four concatenated.

    Args:
        channels_in: of each of the two inputs.
        channels: of each of the four parts; the output has 4 x channels.
    """

    def __init__(self, channels_in: int, channels: int, norm: Norm) -> None:
        super().__init__()
        self.preprocess = nn.ModuleList([pointwise(channels_in, channels, norm) for _ in range(2)])
        self.convolve = nn.ModuleList([self._convolution(channels, norm) for _ in range(2)])
        self.pool = nn.ModuleList([nn.Sequential(nn.MaxPool2d(3, 2, 1), norm(channels)) for _ in range(2)])

    @staticmethod
    def _convolution(channels: int, norm: Norm) -> nn.Sequential:
        groups = gcd(8, channels)
        return nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, (1, 3), (1, 2), (0, 1), groups=groups, bias=False),
            nn.Conv2d(channels, channels, (3, 1), (2, 1), (1, 0), groups=groups, bias=False),
            norm(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1, bias=False),
            norm(channels),
        )

    def forward(self, before: Map, last: Map) -> Float[Tensor, "batch channels_out height_out width_out"]:
        inputs = [module(x) for module, x in zip(self.preprocess, (before, last), strict=True)]
        parts = [module(x) for group in (self.convolve, self.pool) for module, x in zip(group, inputs, strict=True)]
        return torch.cat(parts, dim=1)
