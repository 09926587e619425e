"""Bootstrap intervals of accuracy measures, from resampled units: polygons, cities, or blocks.

Patches of one unit resemble each other, so units are drawn with replacement, not single patches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from compactnas.evaluation.metrics import Measures, class_measures, confusion_measures

DRAWS = 1000
"""Default number of bootstrap samples."""
MEASURED = tuple(field.name for field in fields(Measures) if not field.name.startswith("classes"))
"""Names of the measures that get an interval."""
DRAWN_AT_ONCE = 50
MOST_DRAWN = 2**22
"""Largest number of counts to draw at a time."""

Interval = tuple[float, float]
Confusions = Int64[np.ndarray, "units true mapped"]


@dataclass(frozen=True)
class UnitCounts:
    """Confusion matrices of units, without their zeros.

    Attributes:
        unit: Number of the unit of each entry.
        cell: Cell of the flattened confusion matrix (true, predicted) of each entry.
        count: Patches or map cells of each entry.
        units: Number of units.
        classes: Number of classes.
    """

    unit: NDArray[np.int64]
    cell: NDArray[np.int64]
    count: NDArray[np.int64]
    units: int
    classes: int

    @classmethod
    def of(cls, confusions: Confusions) -> UnitCounts:
        """Compress the confusion matrix of each unit."""
        units, classes, _ = confusions.shape
        flat = confusions.reshape(units, -1)
        unit, cell = np.nonzero(flat)
        return cls(unit, cell, flat[unit, cell], units, classes)

    @classmethod
    def count_patches(
        cls, unit: NDArray[np.int64], true: NDArray[np.int64], predicted: NDArray[np.int64], classes: int
    ) -> UnitCounts:
        """Count patches by unit, true class and predicted class; units are numbered from 0."""
        keys, count = np.unique((unit * classes + true) * classes + predicted, return_counts=True)
        units = int(unit.max(initial=-1)) + 1
        return cls(keys // classes**2, keys % classes**2, count.astype(np.int64), units, classes)


def intervals_of(
    counts: UnitCounts, draws: int, generator: np.random.Generator, *, lcz: bool, each_class: bool = False
) -> dict[str, Interval]:
    """Compute the central 95 % interval of each measure, by drawing all units with replacement.

    Args:
        counts: Counts of each unit.
        draws: Number of bootstrap samples.
        generator: Random generator of the draws.
        lcz: Whether the classes are the 17 Local Climate Zones.
        each_class: Whether to add the F1 of each class, as `f1_1`, `f1_2`, ...
    """
    found: dict[str, list[float]] = {}
    for drawn in _drawn(counts, draws, generator):
        measures = confusion_measures(drawn, lcz=lcz)
        for name in MEASURED:
            found.setdefault(name, []).append(_or_nan(getattr(measures, name)))
        if each_class:
            for number, f1 in enumerate(class_measures(drawn).f1.tolist(), 1):
                found.setdefault(f"f1_{number}", []).append(f1)
    return {name: _middle(np.array(values)) for name, values in found.items() if np.isfinite(values).any()}


def _drawn(
    counts: UnitCounts, draws: int, generator: np.random.Generator
) -> Iterator[Int64[np.ndarray, "true predicted"]]:
    """Yield the confusion matrix of each bootstrap sample."""
    units, cells = counts.units, counts.classes**2
    at_once = max(1, min(DRAWN_AT_ONCE, MOST_DRAWN // units))
    for start in range(0, draws, at_once):
        for often in generator.multinomial(units, np.full(units, 1 / units), min(at_once, draws - start)):
            # Sums of whole numbers are exact in float64.
            sums = np.bincount(counts.cell, often[counts.unit] * counts.count, minlength=cells)
            yield sums.astype(np.int64).reshape(counts.classes, counts.classes)


def _middle(values: Float64[np.ndarray, " draws"]) -> Interval:
    low, high = np.percentile(values[np.isfinite(values)], (2.5, 97.5))
    return float(low), float(high)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
