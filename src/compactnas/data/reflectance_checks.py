"""Check the scaling of reflectance, and compare class counts with those of So2Sat."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.data.source import Facts
from compactnas.lcz import SO2SAT_COUNTS

SCALED_TWICE = 0.01
"""Medians below this are too dark for any ground: the values were scaled twice."""
DIGITAL_NUMBERS = 10.0
"""Medians above this are digital numbers, not reflectance."""
BELOW_ZERO = -0.01
"""Values below this mean that an offset was subtracted twice."""
OFFSET = 0.09
"""The darkest pixel of a patch is below this unless the offset of 1000 was left in."""


def reflectance_faults(facts: Facts, images: NDArray[Any]) -> list[str]:
    """List the signs that a sample of patches is not reflectance (0 to about 1); empty for other kinds of pixels."""
    return unlike_reflectance(facts.bands, images)


def unlike_reflectance(bands: tuple[str, ...], images: NDArray[Any]) -> list[str]:
    """List the signs that pixels of these bands are not reflectance; empty for other kinds of pixels."""
    if not _is_reflectance(bands, images):
        return []
    middle, least = float(np.median(images)), float(images.min())
    if middle > DIGITAL_NUMBERS:
        return [
            f"the median value is {middle:.0f}: digital numbers, not reflectance; divide by 10000 to mix with So2Sat"
        ]
    if least < BELOW_ZERO:
        return [f"the smallest value is {least:.3f}: reflectance from which the offset of -1000 was taken twice?"]
    if middle < SCALED_TWICE:
        return [f"the median value is {middle:.2g}: reflectance that was divided by 10000 twice?"]
    if float(np.median(images.min((2, 3)))) > OFFSET and least > OFFSET:
        return [f"no value is below {least:.3f}: products from baseline 04.00 on hold an offset of 1000 (0.1)"]
    return []


def is_scaled_twice(facts: Facts, images: NDArray[Any]) -> bool:
    """Check for reflectance that was divided by 10000 twice, which 16 bits cannot store."""
    if not _is_reflectance(facts.bands, images):
        return False
    return bool(images.min() >= BELOW_ZERO and np.median(images) < SCALED_TWICE)


def _is_reflectance(bands: tuple[str, ...], images: NDArray[Any]) -> bool:
    return images.dtype.kind == "f" and any(band.startswith("B0") for band in bands)


def count_faults(facts: Facts) -> list[str]:
    """List parts that have the size of a So2Sat part but other class counts: damaged or relabelled files."""
    if not facts.lcz:
        return []
    found = []
    for rows in [*facts.parts.values(), np.arange(len(facts.labels))]:
        counts = tuple(np.bincount(facts.labels[rows], minlength=len(facts.classes)).tolist())
        for part, known in SO2SAT_COUNTS.items():
            if sum(counts) == sum(known) and counts != known:
                wrong = next(name for name, a, b in zip(facts.classes, counts, known, strict=True) if a != b)
                place = facts.classes.index(wrong)
                found.append(
                    f"as many patches as So2Sat's {part} part, {sum(known)}, but of {wrong} {counts[place]} and not "
                    f"{known[place]}: its labels were changed"
                )
    return list(dict.fromkeys(found))
