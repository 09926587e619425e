"""Run layers at fewer channels than they were built with, and combine maps of different widths.

A narrow network shares the first channels of a wide one's weights. Source: TAS (Dong and Yang 2019, section 3.1), which
interpolates the feature maps of two sampled widths along the channels to one width, and adds them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from compactnas.distributed.sync_layers import GlobalBatchNorm
from compactnas.nn.norms import HalfInstanceNorm, first_of_norm
from compactnas.nn.separable import DepthwiseConv

Map = Float[Tensor, "batch channels height width"]
Other = Float[Tensor, "batch others height width"]
"""A map with another number of channels."""


def narrowed(layers: nn.Sequential, x: Tensor, channels: int | None = None) -> Tensor:
    """Run a chain of layers at the channels of x, with a given number of convolution outputs.

    Batch norm uses the statistics of the batch, as everywhere in a supernet.
    """
    for layer in layers:
        if isinstance(layer, nn.Conv2d) and not isinstance(layer, DepthwiseConv):
            weight = layer.weight[:channels, : x.shape[1]]
            x = F.conv2d(x, weight, None, layer.stride, layer.padding)
        elif isinstance(layer, nn.Linear):
            x = F.linear(x, layer.weight[:, : x.shape[1]], layer.bias)
        elif isinstance(layer, nn.BatchNorm2d | GlobalBatchNorm):
            x = first_of_norm(layer, x)
        elif isinstance(layer, HalfInstanceNorm):
            x = layer.narrowed(x)
        else:  # has no weights, or takes a narrow map as it is
            x = layer(x)
    return x


def interpolated(x: Map, channels: int) -> Other:
    """Interpolate along the channels by adaptive pooling (TAS, section 3.1)."""
    own = x.shape[1]
    if own == channels:
        return x
    means = F.adaptive_avg_pool1d(torch.eye(own, dtype=x.dtype, device=x.device), channels)
    return F.conv2d(x, means.T[:, :, None, None].contiguous())


def combined(maps: Sequence[Tensor], weights: Float[Tensor, "maps"] | None) -> Map:
    """Sum maps of different widths, each times its weight, at the largest width."""
    widest = max(x.shape[1] for x in maps)
    if weights is None:
        (x,) = maps
        return x
    total = weights[0] * interpolated(maps[0], widest)
    for weight, x in zip(weights[1:], maps[1:], strict=True):
        total = total + weight * interpolated(x, widest)
    return total
