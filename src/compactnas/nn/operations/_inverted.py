"""Inverted residuals without their shortcut: the building block of `mb` and `fused`.

MobileNetV2 (Sandler et al. 2018, section 3.3): a 1x1 convolution expands the channels, a depthwise convolution filters
them, and a 1x1 convolution without activation projects them back. With an expansion of 1 the first one is left out
(table 1 there). EfficientNetV2 (Tan and Le 2021, section 3.2) fuses the first two to one k x k convolution. We use ReLU
instead of ReLU6, which is meant for fixed-point numbers of a fixed range; `compactnas export --formats int8` measures
the ranges instead.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from compactnas.nn.norms import Norm, normalised
from compactnas.nn.separable import DepthwiseConv
from compactnas.nn.state import EdgeWeight, Map, State


class InvertedResidual(nn.Module):
    """Expand, filter, project; the edge's weight scales the last normalisation. The caller adds the shortcut, if any.

    A map of fewer channels is computed with the first weights alone (`compactnas.nn.slimmable`).

    Args:
        channels: Number of channels of the map.
        norm: Normalisation.
        size: Side of the kernel.
        expansion: Number of channels between the convolutions, in units of `channels`.
        fused: Whether one k x k convolution expands and filters.
        halved: Number of channels of a result of half the size; 0 keeps size and channels.
    """

    def __init__(
        self, channels: int, norm: Norm, *, size: int, expansion: int, fused: bool = False, halved: int = 0
    ) -> None:
        super().__init__()
        self.expansion, self.halved = expansion, halved
        inner, outputs, stride = expansion * channels, halved or channels, 2 if halved else 1
        filters: list[nn.Module] = [DepthwiseConv(inner, size, stride)]
        if fused:
            filters = [nn.Conv2d(channels, inner, size, stride, size // 2, bias=False)]
        elif expansion > 1:
            filters = [nn.Conv2d(channels, inner, 1, bias=False), norm(inner), nn.ReLU(inplace=True), *filters]
        self.body = nn.Sequential(*filters, norm(inner), nn.ReLU(inplace=True))
        self.project = nn.Conv2d(inner, outputs, 1, bias=False)
        self.norm = norm(outputs)

    def forward(
        self, state: State, weight: EdgeWeight | None = None, channels: int = 0
    ) -> Float[Tensor, "batch outputs height_out width_out"]:
        """Compute the map; if `channels` is given, a map of half the size has only the first `channels` channels."""
        y = state.x
        given = y.shape[1]
        for layer in self.body:
            y = _first(layer, y, self.expansion * given) if type(layer) is nn.Conv2d else layer(y)
        return normalised(self.norm, _first(self.project, y, channels or self.halved or given), weight)


def _first(layer: nn.Conv2d, x: Map, outputs: int) -> Float[Tensor, "batch outputs height_out width_out"]:
    """Run a convolution with its first inputs and outputs."""
    if x.shape[1] == layer.in_channels and outputs == layer.out_channels:
        result: Tensor = layer(x)
        return result
    return F.conv2d(x, layer.weight[:outputs, : x.shape[1]], None, layer.stride, layer.padding)


def reduction(channels: int, outputs: int, norm: Norm, **kind: Any) -> InvertedResidual:
    """Build an inverted residual of stride 2."""
    return InvertedResidual(channels, norm, halved=outputs, **kind)
