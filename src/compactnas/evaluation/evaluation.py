"""Accuracy and cost of a network on one part of a dataset, as `evaluation.json` holds them. Torch is not imported."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.evaluation.calibration import Reliability
from compactnas.evaluation.groups import GroupCounts
from compactnas.evaluation.metrics import Measures
from compactnas.registry import DRAWINGS


@dataclass(frozen=True)
class Evaluation:
    """Accuracy and cost of a network on one part.

    Attributes:
        model: Name of the network.
        part: `train`, `validation` or `test`.
        measures: Accuracy measures.
        classes: Names of the classes, in the order of the confusion matrix.
        confusion: Number of patches by true class (rows) and predicted class (columns).
        macs: Multiply-accumulates for one patch.
        parameters: Number of trained parameters.
        depths: Number of cells in each block of a searched network, else None.
        turns: Whether predictions are averaged over the 8 symmetries of a patch; `macs` then counts all 8 passes.
        reliability: Confidence and accuracy by bin of confidence; None in evaluations of older versions.
        groups: Counts by group (polygon, city, block) with intervals of the measures; None if the groups are unknown.
    """

    model: str
    part: str
    measures: Measures
    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    macs: int
    parameters: int
    depths: tuple[int, ...] | None
    turns: bool = False
    reliability: Reliability | None = None
    groups: GroupCounts | None = None

    @property
    def n(self) -> int:
        """Number of patches."""
        return int(self.confusion.sum())

    @property
    def majority(self) -> tuple[str, float]:
        """Most frequent true class, and its share of the patches: the OA of a network that always predicts it."""
        patches = self.confusion.sum(axis=1)
        return self.classes[int(patches.argmax())], float(patches.max() / max(patches.sum(), 1))

    def interval(self, measure: str) -> tuple[float, float] | None:
        """Return the 95 % interval of a measure over samples of whole groups; None if there is none."""
        return self.groups.intervals.get(measure) if self.groups else None

    def _repr_html_(self) -> str:
        """Show the measures, the cost and the confusion matrix in a notebook."""
        return DRAWINGS["evaluation"](self)

    def to_json(self) -> dict[str, Any]:
        """Evaluation as JSON values."""
        raw = asdict(self) | {"n": self.n, "confusion": self.confusion.tolist(), "classes": list(self.classes)}
        raw["depths"] = None if self.depths is None else list(self.depths)
        raw["reliability"] = self.reliability and self.reliability.to_json()
        raw["groups"] = self.groups and self.groups.to_json()
        return raw
