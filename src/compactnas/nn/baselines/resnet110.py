"""ResNet-110 for small images (He et al. 2016, section 4.2)."""

from __future__ import annotations

from functools import partial

from compactnas.nn.baselines import Baseline
from compactnas.nn.baselines._resnet import ResNet

BASELINE = Baseline(
    build=partial(ResNet, n=18),
    label="ResNet-110",
    architecture="ResNet",
    compared=True,
)
