"""Sen2LCZ-Net (Qiu et al. 2020, arXiv 2005.07983)."""

from __future__ import annotations

from compactnas.nn.baselines import Baseline
from compactnas.registry import deferred

BASELINE = Baseline(
    build=deferred("compactnas.nn.baselines._sen2lcz", "Sen2LCZNet", fusion=False),
    label="Sen2LCZ-Net",
    least_px=8,
)
