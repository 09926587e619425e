"""ResNets for small images in the form of the paper's code base."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from compactnas.nn.baselines._layers import ConvNorm, Image, Logits, Smaller, initialise, pooled_logits
from compactnas.nn.normalise import Normalise


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al. 2016, CIFAR form).

    A shortcut that changes the width is a 1x1 convolution without batch norm, after a 2x2
    average pool if the stride is 2. This is the form of the paper's code base, and the only
    one that matches the published sizes.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.first = ConvNorm(inputs, outputs, 3, stride)
        self.second = ConvNorm(outputs, outputs, 3)
        shortcut: list[nn.Module] = []
        if stride == 2:
            # The last row of a map with an odd side is averaged alone, because the convolution keeps it too.
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
        initialise(self)

    def forward(self, x: Float[Tensor, "batch bands height width"]) -> Logits:
        return pooled_logits(self.head, self.blocks(F.relu(self.stem(self.normalise(x)))))
