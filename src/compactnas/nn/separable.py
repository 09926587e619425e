"""Depthwise-separable convolution and average pooling: fast and with little memory on CPUs.

PyTorch's CPU library has a fast forward pass for every depthwise kernel, but fast gradients only for the undilated
3x3 kernel. At stride 1, all gradients can be computed by these fast paths: the input gradient is a forward pass with
the kernel rotated by 180 degrees, and the weight gradient of a larger or dilated kernel consists of one or four
gradients of an undilated 3x3 kernel. The output of the depthwise half is not kept for the backward pass but computed
again: one more fast forward pass saves the memory of a map.

In bfloat16 there is another reason: PyTorch 2.13's CPU library computes a wrong weight gradient for dilated depthwise
kernels (`tests/nn/test_separable.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

IN_CACHE = 4 * 2**20
"""Largest map, in bytes, that stays in a CPU's cache while it is read several times in a row."""

Map = Float[Tensor, "batch channels height width"]
Depthwise = Float[Tensor, "channels 1 size size"]


class SeparableConv(nn.Module):
    """Depthwise k x k convolution, then a pointwise 1x1: stride 1, no bias, padding that keeps the size.

    A map of fewer channels is convolved with the first weights alone (`compactnas.nn.slimmable`).

    Shapes: (batch, channels, height, width) in and out; `depthwise` (channels, 1, k, k), `pointwise`
    (channels, channels, 1, 1).
    """

    map_writes = 4
    """Number of maps that a pass is counted to write (`compactnas.cost.counter`): the result, the depthwise map before
    it, that map again in the backward pass, and the slow library path of the depthwise gradients; fitted on a CPU
    (`benchmarks/work.py`)."""

    def __init__(self, channels: int, size: int, dilation: int = 1) -> None:
        super().__init__()
        self.dilation = dilation
        self.depthwise = nn.Parameter(torch.empty(channels, 1, size, size))
        self.pointwise = nn.Parameter(torch.empty(channels, channels, 1, 1))
        for weight in (self.depthwise, self.pointwise):
            nn.init.kaiming_uniform_(weight, a=5**0.5)  # as nn.Conv2d

    def forward(self, x: Map) -> Map:
        depthwise: Tensor = self.depthwise
        pointwise: Tensor = self.pointwise
        if (channels := x.shape[1]) < len(depthwise):
            depthwise, pointwise = depthwise[:channels], pointwise[:channels, :channels]
        if depthwise.shape[-1] in (3, 5) and _trains_on_cpu(x):
            return _separable(*_as_autocast(x, depthwise, pointwise), self.dilation)
        return F.conv2d(_depthwise(x, depthwise, self.dilation), pointwise)

    def extra_repr(self) -> str:
        channels, _, size, _ = self.depthwise.shape
        return f"{channels}, {size}x{size}, dilation={self.dilation}"


class DepthwiseConv(nn.Conv2d):
    """Depthwise k x k convolution without bias, with padding that keeps the size at stride 1 and halves it at stride 2.

    A map of fewer channels is convolved with the first weights alone (`compactnas.nn.slimmable`). In a training in
    bfloat16 on a CPU, stride 2 is computed in 32 bits, which is several times faster there.
    """

    def __init__(self, channels: int, size: int, stride: int = 1) -> None:
        super().__init__(channels, channels, size, stride=stride, padding=size // 2, groups=channels, bias=False)

    def forward(self, x: Map) -> Float[Tensor, "batch channels height_out width_out"]:
        weight = self.weight[: x.shape[1]] if x.shape[1] < len(self.weight) else self.weight
        if not _trains_on_cpu(x):
            return self._convolve(x, weight)
        if self.stride[0] == 1 and self.kernel_size[0] in (3, 5):
            return _depthwise_conv(*_as_autocast(x, weight))
        with torch.autocast("cpu", enabled=False):
            return self._convolve(x.to(weight.dtype), weight).to(x.dtype)

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(x, weight, None, self.stride, self.padding, groups=len(weight))


class HalvingConv(DepthwiseConv):
    """Depthwise 3x3 convolution of stride 2: (batch, channels, height, width) to half the size."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 3, stride=2)


class _DepthwiseConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)
        return _depthwise(x, weight, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        need_x, need_weight = ctx.needs_input_grad
        grad_x = _depthwise(grad, weight.flip(-1, -2), 1) if need_x else None
        return grad_x, depthwise_gradient(x, grad, weight.shape[-1], 1) if need_weight else None


_depthwise_conv: Callable[..., Tensor] = _DepthwiseConv.apply


class _Separable(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, depthwise: Tensor, pointwise: Tensor, dilation: int) -> Tensor:
        _, need_depthwise, need_pointwise, _ = ctx.needs_input_grad
        ctx.save_for_backward(x if need_depthwise or need_pointwise else None, depthwise, pointwise)
        ctx.dilation = dilation
        return F.conv2d(_depthwise(x, depthwise, dilation), pointwise)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, depthwise, pointwise = ctx.saved_tensors
        need_x, need_depthwise, need_pointwise, _ = ctx.needs_input_grad
        grad_x = grad_depthwise = grad_pointwise = None
        if need_pointwise:
            between = _depthwise(x, depthwise, ctx.dilation)
            grad_pointwise = _weight_gradient(between, grad, pointwise, 0, 1)
        if need_x or need_depthwise:
            grad = F.conv2d(grad, pointwise.transpose(0, 1))
        if need_x:
            grad_x = _depthwise(grad, depthwise.flip(-1, -2), ctx.dilation)
        if need_depthwise:
            grad_depthwise = depthwise_gradient(x, grad, depthwise.shape[-1], ctx.dilation)
        return grad_x, grad_depthwise, grad_pointwise, None


_separable: Callable[..., Tensor] = _Separable.apply


def _trains_on_cpu(x: Tensor) -> bool:
    known = not torch.is_autocast_enabled("cpu") or torch.get_autocast_dtype("cpu") == torch.bfloat16
    return x.device.type == "cpu" and torch.is_grad_enabled() and known and not torch.compiler.is_exporting()


def _as_autocast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Cast tensors as autocast does for a convolution, because autocast does not cast inputs of custom functions."""
    if not torch.is_autocast_enabled("cpu"):
        return tensors
    return tuple(tensor.to(torch.get_autocast_dtype("cpu")) for tensor in tensors)


def _depthwise(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    pad = dilation * (weight.shape[-1] // 2)
    return F.conv2d(x, weight, padding=pad, dilation=dilation, groups=weight.shape[0])


def depthwise_gradient(x: Map, grad: Map, size: int, dilation: int) -> Depthwise:
    """Compute the gradient of a depthwise kernel of side 3 or 5 at stride 1 with size-keeping padding.

    Args:
        x: Input of the convolution.
        grad: Gradient of its output.
        size: Side of the kernel.
        dilation: Distance between the kernel's taps in pixels.
    """
    if not len(x):  # a process's share of a batch that is smaller than the number of processes
        return x.new_zeros(x.shape[1], 1, size, size)
    if dilation > 1:
        height, width = x.shape[-2:]
        if height % dilation or width % dilation:
            x, grad, narrow = x.to(_wide(x)), grad.to(_wide(x)), x.dtype  # the library's is wrong in 16 bits
            kernel = x.new_empty(x.shape[1], 1, size, size)
            return _weight_gradient(x, grad, kernel, dilation * (size // 2), dilation).to(narrow)
        x, grad = _phases(x, dilation), _phases(grad, dilation)
    if size == 3:
        return _weight_gradient(x, grad, x.new_empty(x.shape[1], 1, 3, 3), 1, 1)
    return _gradient_5x5(x, grad)


def _phases(x: Tensor, step: int) -> Tensor:
    """Split each image into step x step sub-images of every step-th pixel, as more images of the batch."""
    n, c, h, w = x.shape
    parts = x.permute(0, 2, 3, 1).reshape(n, h // step, step, w // step, step, c).permute(0, 2, 4, 1, 3, 5)
    return parts.reshape(n * step * step, h // step, w // step, c).permute(0, 3, 1, 2)


def _gradient_5x5(x: Tensor, grad: Tensor) -> Tensor:
    """Compute the gradient of a 5x5 kernel: each corner is the library's 3x3 gradient at an offset into x.

    In channels_last, a shift by whole pixels is an offset into memory. So x is copied once with its padding, and the
    gradient is padded with zeros for the pixels that a shifted map reads outside its rows or columns. Works on a few
    images at a time in the same two buffers, so that these stay in cache and their zeros stay zero.
    """
    images = min(len(x), max(1, IN_CACHE // x[0].nbytes))
    c, (height, width) = x.shape[1], x.shape[2:]
    rows, columns = height + 4, width + 4
    slack = 2 * (columns + 1) * c  # the last offset reads this far past the end
    memory = x.new_zeros(images * rows * columns * c + slack)
    laid = x.new_zeros(images, height + 2, width + 2, c)
    kernel, corner = x.new_zeros(c, 1, 5, 5, dtype=_wide(x)), x.new_empty(c, 1, 3, 3)
    for part, part_grad in zip(torch.split(x, images), torch.split(grad, images), strict=True):
        n = len(part)
        size = n * rows * columns * c
        memory[:size].view(n, rows, columns, c)[:, 2:-2, 2:-2] = part.permute(0, 2, 3, 1)
        memory[size : size + slack] = 0  # the last part may be smaller
        laid[:n, :height, :width] = part_grad.permute(0, 2, 3, 1)
        gradient = x.new_empty(c, 1, 5, 5)
        for top in (0, 2):
            for left in (0, 2):
                offset = (top * columns + left) * c
                shifted = memory[offset : offset + size].view(n, rows, columns, c).permute(0, 3, 1, 2)
                found = _weight_gradient(shifted, laid[:n].permute(0, 3, 1, 2), corner, 0, 1)
                gradient[:, :, top : top + 3, left : left + 3] = found
        kernel += gradient
    return kernel.to(x.dtype)


def _weight_gradient(x: Tensor, grad: Tensor, weight: Tensor, pad: int, dilation: int) -> Tensor:
    """Compute a weight's gradient with the library; a weight with one input channel is depthwise."""
    groups = x.shape[1] // weight.shape[1]
    gradients = torch.ops.aten.convolution_backward(
        grad, x, weight, None, [1, 1], [pad, pad], [dilation, dilation], False, [0, 0], groups, [False, True, False]
    )
    result: Tensor = gradients[1]
    return result


def average_pool(x: Map) -> Map:
    """Average 3x3 pixels inside the map at stride 1, as a depthwise convolution, which is four times faster."""
    if _trains_on_cpu(x):
        return _average(x)
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


class _Average(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ones, share = _ones_and_share(x)
        ctx.save_for_backward(ones, share)
        with torch.autocast("cpu", enabled=False):
            return _depthwise(x, ones, 1).mul_(share)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        ones, share = ctx.saved_tensors
        return _depthwise((grad * share).to(grad.dtype), ones, 1)


_average: Callable[..., Tensor] = _Average.apply


def _ones_and_share(x: Tensor) -> tuple[Tensor, Tensor]:
    """Make a kernel of ones for each channel, and 1 over the number of pixels inside the map around each pixel."""
    height, width = x.shape[-2:]
    inside = F.avg_pool2d(x.new_ones(1, 1, height, width, dtype=_wide(x)), 3, stride=1, padding=1, divisor_override=1)
    return x.new_ones(x.shape[1], 1, 3, 3), inside.reciprocal()


def _wide(x: Tensor) -> torch.dtype:
    """Return the data type for sums and shares: 16 bits would lose digits."""
    return torch.promote_types(x.dtype, torch.float32)
