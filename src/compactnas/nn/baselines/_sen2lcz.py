"""Sen2LCZ-Net, without and with the fusion of its levels."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from compactnas.nn.baselines._layers import ConvNorm, Image, Logits, Smaller, initialise, pooled_logits
from compactnas.nn.normalise import Normalise


class DoublePool(nn.Module):
    """Max-pool and average-pool of stride 2, concatenated: half the side, twice the channels."""

    def forward(self, x: Image) -> Smaller:
        return torch.cat([F.max_pool2d(x, 2), F.avg_pool2d(x, 2)], dim=1)


class Sen2LCZNet(nn.Module):
    """Sen2LCZ-Net, or Sen2LCZ-Net-MF with `fusion` (Qiu et al. 2020, arXiv 2005.07983).

    Four blocks of four 3x3 convolutions, widths 16 to 128. With fusion, three more heads follow
    the poolings, and the output is the logarithm of the mean of the four softmaxes. It serves as
    logits, because softmax(log p) = p.
    """

    def __init__(self, bands: int, classes: int, *, fusion: bool) -> None:
        super().__init__()
        self.normalise = Normalise(bands)
        widths = (16, 32, 64, 128)
        self.blocks = nn.ModuleList(
            _four_convolutions(inputs, width) for inputs, width in zip((bands, *widths[1:]), widths, strict=True)
        )
        self.pools = nn.ModuleList(
            [DoublePool(), nn.Sequential(DoublePool(), nn.Dropout(0.2)), nn.Sequential(DoublePool(), nn.Dropout(0.2))]
        )
        self.early_heads = nn.ModuleList(nn.Linear(width, classes) for width in widths[1:] if fusion)
        self.head = nn.Linear(widths[-1], classes)
        initialise(self)

    def forward(self, x: Float[Tensor, "batch bands height width"]) -> Logits:
        x = self.blocks[0](self.normalise(x))
        pooled = []
        for pool, block in zip(self.pools, list(self.blocks)[1:], strict=True):
            x = pool(x)
            pooled.append(x)
            x = block(x)
        last = pooled_logits(self.head, x)
        if not len(self.early_heads):
            return last
        logits = [pooled_logits(head, y) for head, y in zip(self.early_heads, pooled, strict=True)]
        log_p = torch.stack([F.log_softmax(y, dim=1) for y in (*logits, last)])
        return torch.logsumexp(log_p, dim=0) - math.log(len(log_p))


def _four_convolutions(inputs: int, width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(4):
        layers += [ConvNorm(inputs if i == 0 else width, width, 3, bias=True), nn.ReLU()]
    return nn.Sequential(*layers)
