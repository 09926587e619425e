"""Bootstrap intervals of a map's measures, from resampled polygons or blocks of its reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

import numpy as np
from jaxtyping import Float64, Int64

from compactnas.evaluation.metrics import Measures, class_measures, confusion_measures

MEASURED = tuple(field.name for field in fields(Measures) if not field.name.startswith("classes"))
"""Names of the measures that get an interval."""
DRAWN_AT_ONCE = 50

Interval = tuple[float, float]
Confusions = Int64[np.ndarray, "units true mapped"]


def intervals_of(confusions: Confusions, draws: int, generator: np.random.Generator) -> dict[str, Interval]:
    """Compute the central 95 % interval of each measure, by drawing all units with replacement.

    Args:
        confusions: Confusion matrix of each unit.
        draws: Number of bootstrap samples.
        generator: Random generator of the draws.
    """
    found: dict[str, list[float]] = {}
    for drawn in _drawn(confusions, draws, generator):
        measures = confusion_measures(drawn, lcz=True)
        for name in MEASURED:
            found.setdefault(name, []).append(_or_nan(getattr(measures, name)))
        for number, f1 in enumerate(class_measures(drawn).f1.tolist(), 1):
            found.setdefault(f"f1_{number}", []).append(f1)
    return {name: _middle(np.array(values)) for name, values in found.items() if np.isfinite(values).any()}


def _drawn(
    confusions: Confusions, draws: int, generator: np.random.Generator
) -> Iterator[Int64[np.ndarray, "true mapped"]]:
    units = len(confusions)
    flat = confusions.reshape(units, -1).astype(np.float64)  # exact for counts, and fast to multiply
    for start in range(0, draws, DRAWN_AT_ONCE):
        often = generator.multinomial(units, np.full(units, 1 / units), min(DRAWN_AT_ONCE, draws - start))
        for sums in often @ flat:
            yield sums.astype(np.int64).reshape(confusions.shape[1:])


def _middle(values: Float64[np.ndarray, " draws"]) -> Interval:
    low, high = np.percentile(values[np.isfinite(values)], (2.5, 97.5))
    return float(low), float(high)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
