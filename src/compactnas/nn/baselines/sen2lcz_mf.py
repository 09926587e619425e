"""Sen2LCZ-Net-MF: Sen2LCZ-Net with the fusion of four levels (Qiu et al. 2020, arXiv 2005.07983)."""

from __future__ import annotations

from compactnas.nn.baselines import Baseline
from compactnas.registry import deferred

BASELINE = Baseline(
    build=deferred("compactnas.nn.baselines._sen2lcz", "Sen2LCZNet", fusion=True),
    label="Sen2LCZ-Net-MF",
    least_px=8,
)
