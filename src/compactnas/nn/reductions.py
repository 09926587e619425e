"""Fixed parts around cells: preprocessing of inputs and reductions of stride 2."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from compactnas.distributed.sync_layers import memory_of
from compactnas.nn.norms import Norm
from compactnas.nn.separable import HalvingConv, SeparableConv
from compactnas.nn.slimmable import narrowed
from compactnas.nn.state import State, concatenate


class Preprocess(nn.Module):
    """ReLU, 1x1 convolution, normalisation: brings one input to the cell's width."""

    def __init__(self, channels_in: int, channels_out: int, norm: Norm) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels_in, channels_out, 1, bias=False)
        self.norm = norm(channels_out)

    def forward(self, state: State) -> Float[Tensor, "batch channels_out height width"]:
        result: Tensor = self.norm(self.convolution(state.positive))
        return result


class FactorizedReduction(nn.Module):
    """ReLU, two 1x1 convolutions of stride 2 on grids one pixel apart, concatenated, normalised."""

    def __init__(self, channels_in: int, channels_out: int, norm: Norm) -> None:
        super().__init__()
        half = channels_out // 2
        self.even = nn.Conv2d(channels_in, half, 1, bias=False)
        self.odd = nn.Conv2d(channels_in, channels_out - half, 1, bias=False)
        self.norm = norm(channels_out)

    def forward(self, state: State) -> Float[Tensor, "batch channels_out height_out width_out"]:
        even, odd = _two_grids(state.positive)
        result: Tensor = self.norm(concatenate([self.even(even), self.odd(odd)]))
        return result


class _TwoGrids(torch.autograd.Function):
    """Take every second pixel from (0, 0) and from (1, 1), zero outside; the gradient is written once, not summed."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        height, width = ctx.side = x.shape[-2:]
        odd = F.pad(x[:, :, 1::2, 1::2], (0, width % 2, 0, height % 2))
        memory = memory_of(x)
        return x[:, :, ::2, ::2].contiguous(memory_format=memory), odd.contiguous(memory_format=memory)

    @staticmethod
    def backward(ctx: Any, even: Tensor, odd: Tensor) -> Tensor:
        height, width = ctx.side
        grad = torch.zeros_like(
            even[:, :, :1, :1].expand(*even.shape[:2], height, width), memory_format=memory_of(even)
        )
        grad[:, :, ::2, ::2] = even
        grad[:, :, 1::2, 1::2] = odd[:, :, : height // 2, : width // 2]
        return grad


_two_grids: Callable[..., tuple[Tensor, Tensor]] = _TwoGrids.apply


class BasicReduction(nn.Module):
    """Residual block of stride 2 of NAS-Bench-201, the reduction between the paper's blocks.

    Args:
        channels_in: Number of channels of the map.
        channels_out: Number of channels of the result.
        norm: Normalisation.
        separable: Whether depthwise-separable convolutions replace the 3x3 ones (MobileNets, Howard et al. 2017).
    """

    def __init__(self, channels_in: int, channels_out: int, norm: Norm, *, separable: bool = False) -> None:
        super().__init__()
        if separable:
            first: list[nn.Module] = [
                HalvingConv(channels_in),
                nn.Conv2d(channels_in, channels_out, 1, bias=False),
            ]
            second: nn.Module = SeparableConv(channels_out, 3)
        else:
            first = [nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False)]
            second = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.body = nn.Sequential(*first, norm(channels_out), nn.ReLU(inplace=True), second, norm(channels_out))
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, stride=2, ceil_mode=True), nn.Conv2d(channels_in, channels_out, 1, bias=False)
        )

    def forward(
        self, state: State, channels: int | None = None
    ) -> Float[Tensor, "batch channels_out height_out width_out"]:
        """Halve the side; if `channels` is given, use only the first `channels` outputs."""
        result: Tensor
        if channels is None:
            result = self.body(state.positive) + self.shortcut(state.x)
        else:
            result = narrowed(self.body, state.positive, channels) + narrowed(self.shortcut, state.x, channels)
        return result


class CellReduction(nn.Module):
    """Fixed reduction cell of GDAS: both inputs are convolved and pooled, and the four results concatenated.

    Args:
        channels_in: Number of channels of each of the two inputs.
        channels: Number of channels of each of the four parts; the output has 4 x channels.
    """

    def __init__(self, channels_in: int, channels: int, norm: Norm) -> None:
        super().__init__()
        self.preprocess = nn.ModuleList([Preprocess(channels_in, channels, norm) for _ in range(2)])
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
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 1, bias=False),
            norm(channels),
        )

    def forward(self, before: State, last: State) -> Float[Tensor, "batch channels_out height_out width_out"]:
        inputs = [module(state) for module, state in zip(self.preprocess, (before, last), strict=True)]
        parts = [module(x) for group in (self.convolve, self.pool) for module, x in zip(group, inputs, strict=True)]
        return concatenate(parts)
