"""A map on its way through a cell, and the weight of an edge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from compactnas.distributed.sync_layers import memory_of

Map = Float[Tensor, "batch channels height width"]


class State:
    """A map in a cell, with its ReLU computed once for all operations that begin with one.

    Args:
        parts: Maps whose channels are concatenated. This happens on first use, so the map is never made if only its
            ReLU is used.
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
        """Number of channels of the map."""
        return sum(part.channels if isinstance(part, State) else part.shape[1] for part in self.parts)


class EdgeWeight(NamedTuple):
    """The weight that an operation's output is multiplied by, with a path to alpha.

    Attributes:
        value: Weight.
        is_one: Whether its value is exactly one, so that the product is left out of the forward pass.
    """

    value: Float[Tensor, ""]
    is_one: bool


def weighed(y: Map, weight: EdgeWeight | None) -> Map:
    """Multiply a map by an edge's weight; a weight of one costs nothing forward and gives <gradient, y> backward."""
    if weight is None:
        return y
    return _weigh(y, weight.value) if weight.is_one else weight.value * y


DOT = 2**18
"""Most products that a CPU sums one after the other; longer sums lose digits. A GPU sums in a tree."""


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
            most = DOT if grad.device.type == "cpu" else max(1, grad.numel())
            parts = [torch.split(m.permute(last).reshape(-1), most) for m in (grad, y)]
            wide = [[m.to(ctx.dtype) for m in part] for part in parts]  # in 16 bits a sum would lose most digits
            return grad, torch.stack([torch.dot(a, b) for a, b in zip(*wide, strict=True)]).sum(dtype=ctx.dtype)
        return grad, (grad.to(ctx.dtype) * y).sum(dtype=ctx.dtype)


_weigh: Callable[..., Tensor] = _Weigh.apply


def concatenate(parts: Sequence[Tensor]) -> Float[Tensor, "batch all_channels height width"]:
    """Concatenate maps as channels; their gradients are dense, because normalisation is faster on dense maps."""
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


class OnMap(nn.Module):
    """An operation outside a cell: it takes a map instead of a state, and no weight. A reduction halves the map.

    Args:
        operation: Module of the operation.
    """

    def __init__(self, operation: nn.Module) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, x: Map) -> Float[Tensor, "batch outputs height_out width_out"]:
        result: Tensor = self.operation(State(x))
        return result
