"""ResNet-32 for small images (He et al. 2016, section 4.2)."""

from __future__ import annotations

from compactnas.nn.baselines import Baseline
from compactnas.registry import deferred

BASELINE = Baseline(
    build=deferred("compactnas.nn.baselines._resnet", "ResNet", n=5),
    label="ResNet-32",
    architecture="ResNet",
)
