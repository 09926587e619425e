"""The networks that a search is measured against: CIFAR ResNets and Sen2LCZ-Net.

Each takes raw physical values (it normalises them itself) and gives logits, for any patch that
its poolings can halve: ResNets two times, Sen2LCZ-Net three times.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from compactnas.nn.backbone import Normalise

Image = Float[Tensor, "batch channels height width"]
Smaller = Float[Tensor, "batch outputs rows columns"]
Logits = Float[Tensor, "batch classes"]


class ConvNorm(nn.Sequential):
    """Convolution with "same" padding, then batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, bias: bool = False) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias),
            nn.BatchNorm2d(outputs),
        )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016, CIFAR form).

    A shortcut that changes the width is a 1x1 convolution without batch norm, behind a 2x2
    average pool where the stride is 2: the form of the paper's code base, and the only one
    that gives its printed sizes.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, outputs, 3, stride)
        self.second = ConvNorm(outputs, outputs, 3)
        shortcut: list[nn.Module] = []
        if stride == 2:
            # A row over at an odd border is averaged alone, as the convolution keeps it too.
            shortcut.append(nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False))
        if inputs != outputs:
            shortcut.append(nn.Conv2d(inputs, outputs, 1, bias=False))
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Image) -> Smaller:
        y = self.second(F.relu(self.first(x)))
        return F.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    """ResNet of 6n+2 layers for small images (He et al. 2016, section 4.2).

    Widths 16, 32, 64 in three stages of n blocks; global average pooling and a linear layer.
    """

    def __init__(self, bands: int, classes: int, *, n: int) -> None:
        super().__init__()
        self.normalise = Normalise(bands)
        self.stem = ConvNorm(bands, 16, 3)
        blocks: list[nn.Module] = []
        width = 16
        for stage in range(3):
            for i in range(n):
                stride = 2 if stage > 0 and i == 0 else 1
                blocks.append(BasicBlock(width, 16 << stage, stride))
                width = 16 << stage
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(width, classes)
        _initialise(self)

    def forward(self, x: Float[Tensor, "batch bands height width"]) -> Logits:
        x = F.relu(self.stem(self.normalise(x)))
        return _pool_and(self.head, self.blocks(x))


class DoublePool(nn.Module):
    """Max-pool and average-pool of stride 2, concatenated: half the side, twice the channels."""

    def forward(self, x: Image) -> Smaller:
        return torch.cat([F.max_pool2d(x, 2), F.avg_pool2d(x, 2)], dim=1)


class Sen2LCZNet(nn.Module):
    """Sen2LCZ-Net, or Sen2LCZ-Net-MF with `fusion` (Qiu et al. 2020, arXiv 2005.07983).

    Four blocks of four 3x3 convolutions, widths 16 to 128. With fusion, three more heads stand
    behind the poolings and the output is the mean of the four softmaxes, given as its logarithm:
    softmax(log p) = p, so that it is used as logits are.
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
        _initialise(self)

    def forward(self, x: Float[Tensor, "batch bands height width"]) -> Logits:
        x = self.blocks[0](self.normalise(x))
        pooled = []
        for pool, block in zip(self.pools, list(self.blocks)[1:], strict=True):
            x = pool(x)
            pooled.append(x)
            x = block(x)
        last = _pool_and(self.head, x)
        if not len(self.early_heads):
            return last
        logits = [_pool_and(head, y) for head, y in zip(self.early_heads, pooled, strict=True)]
        log_p = torch.stack([F.log_softmax(y, dim=1) for y in (*logits, last)])
        return torch.logsumexp(log_p, dim=0) - math.log(len(log_p))


def _four_convolutions(inputs: int, width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(4):
        layers += [ConvNorm(inputs if i == 0 else width, width, 3, bias=True), nn.ReLU()]
    return nn.Sequential(*layers)


def _pool_and(head: nn.Module, x: Image) -> Logits:
    logits: Tensor = head(x.mean(dim=(2, 3)))
    return logits


def _initialise(network: nn.Module) -> None:
    """He's normal initialisation by fan-out for convolutions; a linear layer keeps torch's own."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


BASELINES: dict[str, Callable[[int, int], nn.Module]] = {
    "resnet8": partial(ResNet, n=1),
    "resnet20": partial(ResNet, n=3),
    "resnet32": partial(ResNet, n=5),
    "resnet110": partial(ResNet, n=18),
    "sen2lcz": partial(Sen2LCZNet, fusion=False),
    "sen2lcz_mf": partial(Sen2LCZNet, fusion=True),
}
"""Name -> (bands, classes) -> network."""
