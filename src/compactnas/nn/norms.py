"""Normalisation layers of final networks and of supernets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from compactnas.distributed.sync_layers import GlobalBatchNorm, memory_of
from compactnas.nn.state import EdgeWeight, Map, concatenate

Norm = Callable[[int], nn.Module]
"""Function that makes the normalisation for a number of channels."""

final_norm: Norm = nn.BatchNorm2d
"""Normalisation of a final network: affine, with running averages."""

candidate_norm: Norm = partial(nn.BatchNorm2d, affine=False, track_running_stats=False)
"""Normalisation of a supernet's candidates: not affine, without running averages, which would mix paths."""

fixed_norm: Norm = partial(nn.BatchNorm2d, track_running_stats=False)
"""Normalisation of the parts of a supernet that always run."""


def normalised(norm: nn.Module, y: Map, weight: EdgeWeight | None) -> Map:
    """Normalise a map; an edge's weight is the scale, so that it costs nothing, whatever its value."""
    if weight is None:
        result: Tensor = norm(y)
        return result
    scale = weight.value.repeat(y.shape[1])
    if isinstance(norm, GlobalBatchNorm):
        return norm.scaled(y, scale)
    return F.batch_norm(y, None, None, scale, training=True)


class HalfInstanceNorm(nn.Module):
    """Normalise half of the channels map by map, the others by `norm` (IBN-Net, Pan et al. 2018).

    The first half loses brightness and contrast, which differ between places and days; the second half keeps them.
    """

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.own = nn.InstanceNorm2d(channels // 2, affine=True)
        self.shared = norm(channels - channels // 2)

    def forward(self, x: Map) -> Map:
        first = self.own.num_features
        return self._joined(x, _by_patch(x[:, :first], self.own.weight, self.own.bias), self.shared(x[:, first:]))

    def narrowed(self, x: Map) -> Map:
        """Normalise a map of fewer channels, with the first weights of each half."""
        first = x.shape[1] // 2
        own = _by_patch(x[:, :first], self.own.weight[:first], self.own.bias[:first])
        return self._joined(x, own, first_of_norm(self.shared, x[:, first:]))

    @staticmethod
    def _joined(x: Map, own: Tensor, shared: Tensor) -> Map:
        return concatenate([own.contiguous(memory_format=memory_of(x)), shared])


def _by_patch(x: Map, weight: Tensor, bias: Tensor) -> Map:
    """Normalise each map by itself, also an empty share of a batch and maps of one pixel, which torch refuses."""
    if x.shape[0] and x.shape[2] * x.shape[3] > 1:
        return F.instance_norm(x, weight=weight, bias=bias)
    return (x - x) * weight[:, None, None] + bias[:, None, None]  # such a map is its own mean


def first_of_norm(norm: nn.Module, x: Tensor) -> Tensor:
    """Normalise a map of as many or fewer channels by the statistics of the batch, with the first weights of a norm."""
    assert isinstance(norm, nn.BatchNorm2d | GlobalBatchNorm)
    scale, shift = (None if v is None else v[: x.shape[1]] for v in (norm.weight, norm.bias))
    if isinstance(norm, GlobalBatchNorm):
        return norm.scaled(x, scale, shift)
    return F.batch_norm(x, None, None, scale, shift, training=True, eps=norm.eps)
