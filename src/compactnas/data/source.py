"""What a set of labelled patches is: the protocol that every source follows, and the one in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Images = NDArray[np.generic]
"""Patches as (batch, band, row, column), in any real dtype; the values are physical (reflectance, 0-255)."""


@dataclass(frozen=True)
class Facts:
    """What is known of a source beside its pixels.

    Attributes:
        name: short name for tables.
        bands: band names in the order of the pixels.
        classes: class names in the order of the labels.
        patch_px: side of a patch.
        labels: class of each patch, int64, (patches,).
        groups: name of each patch's group (its city), (patches,), or None.
        parts: the source's own parts, each with its rows; empty if it has none.
        keys: a name for each patch (its file's path inside the folder), or None.
        lcz: whether the classes are the 17 Local Climate Zones.
    """

    name: str
    bands: tuple[str, ...]
    classes: tuple[str, ...]
    patch_px: int
    labels: NDArray[np.int64]
    groups: NDArray[np.str_] | None = None
    parts: dict[str, Indices] = field(default_factory=dict)
    keys: Sequence[str] | None = None
    lcz: bool = False


class Source(Protocol):
    """A set of labelled patches, read a whole batch at a time."""

    @property
    def facts(self) -> Facts:
        """Labels, names and sizes; no pixels are read for them."""
        ...

    def batch(self, indices: Indices) -> tuple[Images, NDArray[np.int64]]:
        """Pixels (batch, band, row, column) and labels (batch,) of these rows, in this order."""
        ...


@dataclass(frozen=True)
class ArraySource:
    """Patches that are in memory.

    Attributes:
        facts: what is known of them.
        images: (patches, band, row, column).
    """

    facts: Facts
    images: Images

    def __post_init__(self) -> None:
        expected = (len(self.facts.labels), len(self.facts.bands), self.facts.patch_px, self.facts.patch_px)
        assert self.images.shape == expected, (self.images.shape, expected)

    def batch(self, indices: Indices) -> tuple[Images, NDArray[np.int64]]:
        return self.images[indices], self.facts.labels[indices]
