"""Depthwise convolution with fast gradients on CPUs.

PyTorch's CPU library has a fast path for the forward pass of every depthwise kernel, but for
the gradients only of the undilated 3x3. At stride 1 all gradients can be had from fast paths:
the input gradient is a forward pass with the kernel turned half round; the weight gradient of
a dilated kernel is an undilated one on each phase of the image; a 5x5 weight gradient is four
3x3 ones, one for each corner of the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Map = Float[Tensor, "batch channels height width"]
Kernel = Float[Tensor, "channels 1 size size"]


class DepthwiseConv(nn.Module):
    """Depthwise k x k convolution, stride 1, no bias, zero padding that keeps the size.

    Shapes: (batch, channels, height, width) in and out; weight (channels, 1, k, k).
    """

    def __init__(self, channels: int, size: int, dilation: int = 1) -> None:
        super().__init__()
        self.dilation = dilation
        self.weight = nn.Parameter(torch.empty(channels, 1, size, size))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def forward(self, x: Map) -> Map:
        fast = x.device.type == "cpu" and torch.is_grad_enabled() and self.weight.shape[-1] in (3, 5)
        if fast and not torch.compiler.is_exporting():
            return _depthwise(x, self.weight, self.dilation)
        return _forward(x, self.weight, self.dilation)

    def extra_repr(self) -> str:
        channels, _, size, _ = self.weight.shape
        return f"{channels}, {size}x{size}, dilation={self.dilation}"


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.dilation = dilation
        return _forward(x, weight, dilation)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        need_x, need_weight, _ = ctx.needs_input_grad
        grad_x = _forward(grad, weight.flip(-1, -2), ctx.dilation) if need_x else None
        grad_weight = weight_gradient(x, grad, weight.shape[-1], ctx.dilation) if need_weight else None
        return grad_x, grad_weight, None


_depthwise: Callable[..., Tensor] = _Depthwise.apply


def _forward(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    pad = dilation * (weight.shape[-1] // 2)
    return F.conv2d(x, weight, padding=pad, dilation=dilation, groups=weight.shape[0])


def weight_gradient(x: Map, grad: Map, size: int, dilation: int) -> Kernel:
    """Gradient of a depthwise kernel of side 3 or 5 at stride 1 with size-keeping padding.

    Args:
        x: the convolution's input.
        grad: gradient of its output.
        size: side of the kernel.
        dilation: distance of the kernel's taps in pixels.
    """
    height, width = x.shape[-2:]
    if dilation > 1:
        if height % dilation or width % dilation:
            return _library_gradient(x, grad, size, dilation * (size // 2), dilation)
        x, grad = _phases(x, dilation), _phases(grad, dilation)
    if size == 3:
        return _library_gradient(x, grad, 3, 1, 1)
    height, width = x.shape[-2:]
    padded = F.pad(x, (2, 2, 2, 2))
    result = x.new_empty(x.shape[1], 1, 5, 5)
    for top in (0, 2):
        for left in (0, 2):
            window = padded[:, :, top : top + height + 2, left : left + width + 2]
            window = window.contiguous(memory_format=torch.channels_last)
            result[:, :, top : top + 3, left : left + 3] = _library_gradient(window, grad, 3, 0, 1)
    return result


def _phases(x: Tensor, step: int) -> Tensor:
    """The step x step sub-images of every step-th pixel, as more images of the batch."""
    n, c, h, w = x.shape
    parts = x.permute(0, 2, 3, 1).reshape(n, h // step, step, w // step, step, c).permute(0, 2, 4, 1, 3, 5)
    return parts.reshape(n * step * step, h // step, w // step, c).permute(0, 3, 1, 2)


def _library_gradient(x: Tensor, grad: Tensor, size: int, pad: int, dilation: int) -> Tensor:
    channels = x.shape[1]
    shape = x.new_empty(channels, 1, size, size)
    gradients = torch.ops.aten.convolution_backward(
        grad, x, shape, None, [1, 1], [pad, pad], [dilation, dilation], False, [0, 0], channels, [False, True, False]
    )
    result: Tensor = gradients[1]
    return result
