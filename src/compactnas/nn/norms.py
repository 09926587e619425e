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
        own = self.own(x[:, :first]).contiguous(memory_format=memory_of(x))
        return concatenate([own, self.shared(x[:, first:])])
