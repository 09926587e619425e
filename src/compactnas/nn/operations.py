"""The candidate operations of an edge, and the few fixed parts that cells and backbones share.

Source: DARTS (Liu et al. 2019) for the set, GDAS (Dong and Yang 2019) for the fixed parts.
Every map is (batch, channels, height, width); operations of an edge keep its shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from math import gcd
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from compactnas.distributed.sync_layers import GlobalBatchNorm, memory_of
from compactnas.nn.separable import HalvingConv, SeparableConv, average_pool
from compactnas.nn.slimmable import narrowed

Map = Float[Tensor, "batch channels height width"]
Norm = Callable[[int], nn.Module]
"""Makes the normalisation of so many channels."""

final_norm: Norm = nn.BatchNorm2d
"""Of a network that is trained for use: affine, with running averages."""

candidate_norm: Norm = partial(nn.BatchNorm2d, affine=False, track_running_stats=False)
"""Of the candidates in a supernet: running averages over mixed paths mean nothing."""

fixed_norm: Norm = partial(nn.BatchNorm2d, track_running_stats=False)
"""Of the parts of a supernet that always run."""


class State:
    """A map on its way through a cell, with its positive part: made once for all that begin with a ReLU.

    Args:
        parts: maps that stand side by side as its channels. They are put together when they are asked
            for, so that a map of which only the positive part is used is never made.
    """

    def __init__(self, *parts: Map | State) -> None:
        self.parts = parts

    @cached_property
    def x(self) -> Map:
        """The map itself."""
        return concatenate([part.x if isinstance(part, State) else part for part in self.parts])

    @cached_property
    def positive(self) -> Map:
        """ReLU of the map."""
        return concatenate([part.positive if isinstance(part, State) else F.relu(part) for part in self.parts])

    @property
    def channels(self) -> int:
        """Channels of the map."""
        return sum(part.channels if isinstance(part, State) else part.shape[1] for part in self.parts)


Weight = Float[Tensor, ""]
"""Of an edge's operation: exactly one in value, with a path to alpha."""


class Unit(nn.Module):
    """ReLU (of the caller), depthwise k x k, pointwise 1x1, normalisation: what the paper's costs count."""

    def __init__(self, channels: int, size: int, dilation: int, norm: Norm) -> None:
        super().__init__()
        self.convolution = SeparableConv(channels, size, dilation)
        self.norm = norm(channels)

    def forward(self, positive: Map, weight: Weight | None = None) -> Map:
        y = self.convolution(positive)
        if weight is None:
            result: Tensor = self.norm(y)
            return result
        # A normalisation's scale is a product with the edge's weight that costs nothing.
        if isinstance(self.norm, GlobalBatchNorm):
            return self.norm.scaled(y, weight.repeat(y.shape[1]))
        return F.batch_norm(y, None, None, weight.repeat(y.shape[1]), training=True)


class Separable(nn.Module):
    """`sep_conv` (two units) and `dil_conv` (one)."""

    def __init__(self, channels: int, size: int, dilation: int, units: int, norm: Norm) -> None:
        super().__init__()
        self.units = nn.ModuleList(Unit(channels, size, dilation, norm) for _ in range(units))

    def forward(self, state: State, weight: Weight | None = None) -> Map:
        *first, last = self.units
        y = state.positive
        for unit in first:
            y = F.relu(unit(y), inplace=True)
        result: Tensor = last(y, weight)
        return result


class Skip(nn.Module):
    """`skip_connect`: the identity."""

    def forward(self, state: State, weight: Weight | None = None) -> Map:
        return weighed(state.x, weight)


class MaxPool(nn.Module):
    """`max_pool_3x3`."""

    def forward(self, state: State, weight: Weight | None = None) -> Map:
        return weighed(F.max_pool2d(state.x, 3, stride=1, padding=1), weight)


class AveragePool(nn.Module):
    """`avg_pool_3x3`; the padding is not counted."""

    def forward(self, state: State, weight: Weight | None = None) -> Map:
        return weighed(average_pool(state.x), weight)


class Zero(nn.Module):
    """`none`: no connection. It stands in the list of candidates; a cell never runs it."""

    def forward(self, state: State, weight: Weight | None = None) -> Map:
        return torch.zeros_like(state.x)


def weighed(y: Map, weight: Weight | None) -> Map:
    """y times a weight of exactly one: y itself forward, <gradient, y> to the weight backward."""
    return y if weight is None else _weigh(y, weight)


DOT = 2**18
"""Numbers of a sum of products that are added up one after the other; longer ones lose digits."""


class _Weigh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(y)
        ctx.dtype = weight.dtype
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        (y,) = ctx.saved_tensors
        if y.is_contiguous(memory_format=memory_of(grad)):  # their product is summed without being written
            last = (0, 2, 3, 1) if memory_of(grad) == torch.channels_last else (0, 1, 2, 3)
            parts = [torch.split(m.permute(last).reshape(-1), DOT) for m in (grad, y)]
            wide = [[m.to(ctx.dtype) for m in part] for part in parts]  # in 16 bits a sum would lose most digits
            return grad, torch.stack([torch.dot(a, b) for a, b in zip(*wide, strict=True)]).sum(dtype=ctx.dtype)
        return grad, (grad.to(ctx.dtype) * y).sum(dtype=ctx.dtype)


_weigh: Callable[..., Tensor] = _Weigh.apply

_BUILDERS: dict[str, Callable[[int, Norm], nn.Module]] = {
    "none": lambda channels, norm: Zero(),
    "skip_connect": lambda channels, norm: Skip(),
    "sep_conv_3x3": lambda channels, norm: Separable(channels, 3, 1, 2, norm),
    "sep_conv_5x5": lambda channels, norm: Separable(channels, 5, 1, 2, norm),
    "dil_conv_3x3": lambda channels, norm: Separable(channels, 3, 2, 1, norm),
    "dil_conv_5x5": lambda channels, norm: Separable(channels, 5, 2, 1, norm),
    "avg_pool_3x3": lambda channels, norm: AveragePool(),
    "max_pool_3x3": lambda channels, norm: MaxPool(),
}


def build_operation(name: str, channels: int, norm: Norm) -> nn.Module:
    """The operation of this name at stride 1: called with a state and its weight, it keeps the shape."""
    return _BUILDERS[name](channels, norm)


def concatenate(parts: Sequence[Tensor]) -> Float[Tensor, "batch all_channels height width"]:
    """Maps side by side as channels; their gradients come back dense, which normalisation is fast on."""
    return parts[0] if len(parts) == 1 else _concatenate(*parts)


class _Concatenate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *parts: Tensor) -> Tensor:
        ctx.channels = [part.shape[1] for part in parts]
        return torch.cat(parts, dim=1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        memory = memory_of(grad)
        return tuple(part.contiguous(memory_format=memory) for part in torch.split(grad, ctx.channels, dim=1))


_concatenate: Callable[..., Tensor] = _Concatenate.apply


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
    """Every second pixel from (0, 0) and from (1, 1) on, zero outside: the gradient is written once, not summed."""

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


class BasicReduction(nn.Module):
    """NAS-Bench-201's residual block of stride 2, which stands between the paper's blocks.

    Args:
        channels_in: of the map.
        channels_out: of the result.
        norm: normalisation.
        separable: make each 3x3 convolution of a depthwise and a pointwise one (MobileNets, Howard et al. 2017).
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
        """With `channels`, at so many of its own, and at those of the state."""
        result: Tensor
        if channels is None:
            result = self.body(state.positive) + self.shortcut(state.x)
        else:
            result = narrowed(self.body, state.positive, channels) + narrowed(self.shortcut, state.x, channels)
        return result


class CellReduction(nn.Module):
    """GDAS's fixed reduction cell: both inputs convolved and pooled, the four concatenated.

    Args:
        channels_in: of each of the two inputs.
        channels: of each of the four parts; the output has 4 x channels.
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
