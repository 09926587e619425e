"""How well a sample of a supernet fits D_V."""

from __future__ import annotations

from typing import NamedTuple


class Fit(NamedTuple):
    """Figures of a sample on D_V.

    Attributes:
        loss: Cross-entropy.
        accuracy: Accuracy.
    """

    loss: float
    accuracy: float
