"""Composites: one value of each pixel from its clear observations."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt16

from compactnas.catalogues.config import Composite

NO_DATA = 0
"""Number that stands for no data."""

Stack = UInt16[np.ndarray, "days rows columns"]
Numbers = UInt16[np.ndarray, "rows columns"]


def composed(stack: Stack, clear: Bool[np.ndarray, "days rows columns"], how: Composite) -> Numbers:
    """Combine the clear observations of each pixel that are not `NO_DATA`.

    A half is rounded to the even number, as numpy does.

    Args:
        stack: Observations of one band; they are overwritten.
        clear: Observations that count.
        how: Value to take.

    Returns:
        Value of each pixel; `NO_DATA` if it has no observation.
    """
    stack[~clear] = NO_DATA
    return _median(stack) if how == "median" else _mean(stack)


def _median(stack: Stack) -> Numbers:
    stack.sort(axis=0)  # numbers that do not count come first
    days = len(stack)
    count = (stack != NO_DATA).sum(axis=0)
    first = np.minimum(days - count, days - 1)
    low, high = (
        np.take_along_axis(stack, (first + place)[None], axis=0)[0].astype(np.uint32)
        for place in ((np.maximum(count, 1) - 1) // 2, np.maximum(count, 1) // 2)
    )
    total = low + high
    half = total >> 1
    found: Numbers = (half + (total & half & 1)).astype(np.uint16)
    return found


def _mean(stack: Stack) -> Numbers:
    count = np.maximum((stack != NO_DATA).sum(axis=0), 1)
    found: Numbers = np.rint(stack.sum(axis=0, dtype=np.uint64) / count).astype(np.uint16)
    return found
