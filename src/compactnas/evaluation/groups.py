"""Accuracy by group: patches of each polygon, city or block of a part, and intervals from resampled groups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.evaluation.bootstrap import DRAWS, Interval, UnitCounts, intervals_of

SEED = 0
"""Random seed of the bootstrap samples, so that an evaluation always gives the same intervals."""


@dataclass(frozen=True)
class GroupCounts:
    """Patches of each group of a part, and how many of them are predicted right.

    Attributes:
        unit: What a group is, in the singular: `group` (polygon, city), or `block` (square of the split `block`).
        names: Name of each group.
        patches: Number of patches of each group.
        right: Number of patches of each group that are predicted right.
        draws: Number of bootstrap samples.
        intervals: 95 % interval of each measure over samples of whole groups; empty with fewer than two groups.
    """

    unit: str
    names: tuple[str, ...]
    patches: tuple[int, ...]
    right: tuple[int, ...]
    draws: int
    intervals: dict[str, Interval]

    @classmethod
    def count(
        cls,
        groups: NDArray[np.character],
        true: NDArray[np.int64],
        predicted: NDArray[np.int64],
        *,
        classes: int,
        lcz: bool,
        unit: str = "group",
        draws: int = DRAWS,
    ) -> GroupCounts:
        """Count from the group, the true class and the predicted class of each patch.

        Args:
            groups: Group of each patch.
            true: True class of each patch.
            predicted: Predicted class of each patch.
            classes: Number of classes.
            lcz: Whether the classes are the 17 Local Climate Zones.
            unit: What a group is, in the singular.
            draws: Number of bootstrap samples.
        """
        names, of = np.unique(groups, return_inverse=True)
        of = of.ravel().astype(np.int64)
        intervals: dict[str, Interval] = {}
        if len(names) > 1:
            counts = UnitCounts.count_patches(of, true, predicted, classes)
            intervals = intervals_of(counts, draws, np.random.default_rng(SEED), lcz=lcz)
        return cls(
            unit=unit,
            names=tuple(map(str, names)),
            patches=tuple(np.bincount(of).tolist()),
            right=tuple(np.bincount(of[true == predicted], minlength=len(names)).tolist()),
            draws=draws,
            intervals=intervals,
        )

    @property
    def label(self) -> str:
        """Number of groups with their unit, such as "96 groups"."""
        return f"{len(self.names):,} {self.unit}{'s' * (len(self.names) != 1)}"

    def to_json(self) -> dict[str, Any]:
        """Counts and intervals as JSON values."""
        return {
            "unit": self.unit,
            "names": list(self.names),
            "patches": list(self.patches),
            "right": list(self.right),
            "draws": self.draws,
            "intervals_95": {name: list(ends) for name, ends in self.intervals.items()},
        }

    @classmethod
    def from_json(cls, raw: Any) -> GroupCounts:
        """Check counts from JSON values.

        Raises:
            KeyError, TypeError, ValueError: The values are not such counts.
        """
        intervals = {str(name): (float(low), float(high)) for name, (low, high) in raw["intervals_95"].items()}
        found = cls(
            unit=str(raw["unit"]),
            names=tuple(map(str, raw["names"])),
            patches=tuple(map(int, raw["patches"])),
            right=tuple(map(int, raw["right"])),
            draws=int(raw["draws"]),
            intervals=intervals,
        )
        if not len(found.names) == len(found.patches) == len(found.right) or any(
            not 0 <= right <= patches for right, patches in zip(found.right, found.patches, strict=True)
        ):
            raise ValueError("the counts of its groups do not fit each other")
        if not all(math.isfinite(end) for ends in intervals.values() for end in ends):
            raise ValueError("an interval is not finite")
        return found
