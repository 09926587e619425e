"""Say in words which confusions of classes cost the most accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SHOWN = 3
"""Number of confusions to name."""


@dataclass(frozen=True)
class Confusion:
    """A wrong answer: true class, predicted class, its patches, and all patches of the true class."""

    true: str
    predicted: str
    patches: int
    support: int

    @property
    def words(self) -> str:
        """The confusion in words, such as "Open low-rise taken for Large low-rise: 120 of 800 patches"."""
        return f"{self.true} taken for {self.predicted}: {self.patches:,} of {self.support:,} patches"


def costliest(confusion: NDArray[np.int64], classes: Sequence[str], most: int = SHOWN) -> tuple[Confusion, ...]:
    """Find the cells off the diagonal with the most patches; each patch costs the same share of OA.

    Args:
        confusion: Patches by true class (rows) and predicted class (columns).
        classes: Names of the classes.
        most: Largest number of confusions.
    """
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    support = confusion.sum(axis=1)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    cells = [divmod(int(place), len(classes)) for place in order]
    return tuple(
        Confusion(classes[row], classes[column], int(wrong[row, column]), int(support[row]))
        for row, column in cells
        if wrong[row, column]
    )


def share_of_errors(confusion: NDArray[np.int64], found: Sequence[Confusion]) -> str:
    """Say which share of all wrong patches some confusions are; empty without wrong patches."""
    errors = int(confusion.sum() - np.trace(confusion))
    if not errors or not found:
        return ""
    patches = sum(one.patches for one in found)
    return f"{patches:,} of {errors:,} wrong patches ({100 * patches / errors:.0f} %)"
