"""Figures printed in the paper, and the check that a split is the one that they were measured on.

Traoré, Camero, Zhu: Compact Neural Architecture Search for Local Climate Zones Classification, ESANN 2021, tables 1, 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compactnas import lcz
from compactnas.evaluation.evaluation import Evaluation
from compactnas.reporting.study.view import SplitView

SENTINEL_2 = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
"""Bands of the paper: all ten of So2Sat's `sen2`."""
D2_PARTS = {"train": 281_893, "test": 70_473}
"""Number of patches in the parts of d2: 80 and 20 % of the official training part."""
SIGMAS = 6.0
"""Largest distance of a class of d2's test part from its expected number, in standard deviations of the draw."""


@dataclass(frozen=True)
class Printed:
    """A column of the paper's tables as printed; `size` is in millions of parameters, `flops` in millions of MACs.

    The paper calls ResNet-20 "ResNet32", but the figures are those of ResNet-20.
    """

    oa: str
    aa: str
    kappa: str
    size: str
    flops: str
    depth: str


_COSTS = {
    "resnet8": "0.08 13.53 NA",
    "resnet20": "0.27 41.85 NA",
    "resnet110": "1.73 253.89 NA",
    "S": "0.224 30.37 3x3",
    "S+C": "0.165 24.10 3x3",
    "S+D": "0.14 20.05 1x3",
    "S+C+D": "0.130 18.42 1x3",
}
_ACCURACIES = {
    "d1": (
        "60.25 47.86 0.565",
        "64.85 52.24 0.615",
        "67.60 53.34 0.645",
        "64.05 50.39 0.61",
        "64.25 51.63 0.61",
        "64.96 54.02 0.62",
        "64.00 52.20 0.61",
    ),
    "d2": (
        "96.18 88.91 0.958",
        "96.89 89.75 0.966",
        "98.59 91.91 0.984",
        "98.15 91.61 0.980",
        "97.81 91.12 0.975",
        "98.00 91.44 0.980",
        "97.74 91.08 0.975",
    ),
}

PRINTED: dict[str, dict[str, Printed]] = {
    split: {key: Printed(*row.split(), *cost.split()) for (key, cost), row in zip(_COSTS.items(), rows, strict=True)}
    for split, rows in _ACCURACIES.items()
}
"""Split -> method -> printed figures."""


def printed_for(split: SplitView, evaluation: Evaluation) -> dict[str, Printed]:
    """Find the paper's figures for a split; empty unless it is So2Sat LCZ42 with the same split as in the paper.

    Synthetic worlds and other data sets have the same classes and bands, so the check uses the number of test patches
    of each class. For d1 it must be that of So2Sat's test file. The test part of d2 is drawn at random: its size must
    match, and each class must be within `SIGMAS` standard deviations of such a draw.
    """
    if evaluation.classes != lcz.NAMES or split.bands != SENTINEL_2 or evaluation.part != "test":
        return {}
    support = evaluation.confusion.sum(axis=1)
    if support.tolist() == list(lcz.SO2SAT_TEST) and split.parts.get("train") == sum(lcz.SO2SAT_TRAIN):
        return PRINTED["d1"]
    drawn = {part: split.parts.get(part) for part in D2_PARTS}
    whole = np.array(lcz.SO2SAT_TRAIN)
    share, all_patches = D2_PARTS["test"] / whole.sum(), whole.sum()
    spread = np.sqrt(whole * (1 - whole / all_patches) * share * (1 - share) * all_patches / (all_patches - 1))
    near = np.abs(support - share * whole) <= SIGMAS * spread
    return PRINTED["d2"] if drawn == D2_PARTS and bool(near.all()) else {}
