"""Bootstrap intervals of accuracy measures, from resampled units: polygons, cities, or blocks.

Patches of one unit resemble each other, so units are drawn with replacement, not single patches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from compactnas.evaluation.metrics import Measures, class_measures, measure_many

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
    drawn = list(_drawn(counts, draws, generator))
    measured = [measure_many(confusions, lcz) for confusions in drawn]
    found = {name: np.concatenate([part[name] for part in measured]) for name in MEASURED if name in measured[0]}
    if each_class:
        f1 = np.concatenate([class_measures(confusions).f1 for confusions in drawn])
        found |= {f"f1_{number}": values for number, values in enumerate(f1.T, 1)}
    return {name: _middle(values) for name, values in found.items() if np.isfinite(values).any()}


def _drawn(
    counts: UnitCounts, draws: int, generator: np.random.Generator
) -> Iterator[Int64[np.ndarray, "samples true predicted"]]:
    """Yield the confusion matrices of some bootstrap samples at a time."""
    units, classes = counts.units, counts.classes
    at_once = max(1, min(DRAWN_AT_ONCE, MOST_DRAWN // units))
    for start in range(0, draws, at_once):
        often = generator.multinomial(units, np.full(units, 1 / units), min(at_once, draws - start))
        # Sums of whole numbers are exact in float64.
        sums = [np.bincount(counts.cell, own[counts.unit] * counts.count, minlength=classes**2) for own in often]
        yield np.array(sums).astype(np.int64).reshape(-1, classes, classes)


def _middle(values: Float64[np.ndarray, " draws"]) -> Interval:
    low, high = np.percentile(values[np.isfinite(values)], (2.5, 97.5))
    return float(low), float(high)
