"""Sources of labelled patches: the protocol, its facts, and a source in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from compactnas.data.footprints import Footprints, in_metres
from compactnas.errors import UserError
from compactnas.labels.files import LabelFile

Indices = NDArray[np.int64]
Parts = dict[str, Indices]
"""Rows of the parts `train`, `validation` and `test`."""
Groups = NDArray[np.character]
"""Group name of each patch, (patches,); not `np.str_`, which runtime type checkers take for a fixed length."""
Progress = Callable[[int, int], None]
"""Called with the finished and the total number of patches."""
Images = NDArray[np.generic]
"""Patches as (batch, band, row, column), in any real dtype; the values are physical (reflectance, 0-255)."""


@dataclass(frozen=True)
class Facts:
    """Facts about a source, without its pixels.

    Attributes:
        name: Short name for tables.
        bands: Band names in the order of the pixels.
        classes: Class names in the order of the labels.
        patch_px: Side of a patch.
        labels: Class of each patch, int64, (patches,).
        groups: Group of each patch (such as its city), (patches,), or None.
        footprints: Footprint of each patch on the ground, or None.
        parts: Rows of each official part; empty if the source has none.
        keys: Name of each patch (its path inside the folder), or None.
        lcz: Whether the classes are the 17 Local Climate Zones.
        notes: Assumptions and omissions when the source was opened, one line each.
        label_files: Files that the labels come from, if they are files of their own.
    """

    name: str
    bands: tuple[str, ...]
    classes: tuple[str, ...]
    patch_px: int
    labels: NDArray[np.int64]
    groups: Groups | None = None
    footprints: Footprints | None = None
    parts: dict[str, Indices] = field(default_factory=dict)
    keys: Sequence[str] | None = None
    lcz: bool = False
    notes: tuple[str, ...] = ()
    label_files: tuple[LabelFile, ...] = ()

    @property
    def pixel_m(self) -> float | None:
        """Side of a pixel in metres; None if the patches have no footprints in metres, or differ in size."""
        places = self.footprints
        if places is None or not all(in_metres(code) for code in np.unique(places.epsg).tolist()):
            return None
        sides = (places.bounds[:, 2] - places.bounds[:, 0]) / self.patch_px
        return round(float(sides[0]), 6) if len(sides) and np.allclose(sides, sides[0], rtol=1e-4) else None


@runtime_checkable
class Source(Protocol):
    """Set of labelled patches, read a batch at a time."""

    @property
    def facts(self) -> Facts:
        """Labels, names and sizes; no pixels are read."""
        ...

    def batch(self, indices: Indices) -> tuple[Images, NDArray[np.int64]]:
        """Read pixels (batch, band, row, column) and labels (batch,) of these rows, in this order."""
        ...


@dataclass(frozen=True)
class ArraySource:
    """Source with its patches in memory.

    Attributes:
        facts: Facts about the patches.
        images: Pixels, (patches, band, row, column).
    """

    facts: Facts
    images: Images

    def __post_init__(self) -> None:
        expected = (len(self.facts.labels), len(self.facts.bands), self.facts.patch_px, self.facts.patch_px)
        assert self.images.shape == expected, (self.images.shape, expected)

    def batch(self, indices: Indices) -> tuple[Images, NDArray[np.int64]]:
        return self.images[indices], self.facts.labels[indices]


def band_positions(available: tuple[str, ...], wanted: tuple[str, ...], where: str) -> list[int]:
    """Find the positions of the wanted bands, in their order; all bands if `wanted` is empty."""
    missing = [name for name in wanted if name not in available]
    if missing:
        raise UserError(f"data.bands: {where} has no band {', '.join(missing)}; it has {', '.join(available)}")
    if len(set(wanted)) < len(wanted):
        raise UserError(f"data.bands: a band is named twice in {', '.join(wanted)}; name each once")
    return [available.index(name) for name in wanted] if wanted else list(range(len(available)))


def reduced_px(patch_px: int, downsample: int, where: str) -> int:
    """Compute the side of a patch after `block_mean`."""
    if patch_px % downsample:
        raise UserError(f"data.downsample: {downsample} does not divide the {patch_px} pixels of a patch in {where}")
    return patch_px // downsample


def block_mean(images: Images, downsample: int) -> Images:
    """Average each `downsample` x `downsample` block of pixels, in float32; for 1, return the images unchanged."""
    if downsample == 1:
        return images
    total = np.zeros((*images.shape[:2], images.shape[2] // downsample, images.shape[3] // downsample), np.float32)
    for row in range(downsample):
        for column in range(downsample):
            total += images[:, :, row::downsample, column::downsample]
    return total / np.float32(downsample * downsample)


def gib_of(source: Source) -> float:
    """Return the memory that all patches of a source take, in GiB."""
    first, _ = source.batch(np.arange(1))
    return len(source.facts.labels) * first.nbytes / 2**30


def preloaded_gib(source: Source, limit_gib: float) -> float:
    """Return the memory that a source takes in a run, in GiB: none, if it is larger than the limit of `in_memory`."""
    gib = gib_of(source)
    return gib if gib <= limit_gib else 0.0


def in_memory(source: Source, limit_gib: float) -> Source:
    """Read a source into memory if its pixels take at most `limit_gib`; otherwise, return it unchanged."""
    if gib_of(source) > limit_gib:
        return source
    facts, rows = source.facts, np.arange(len(source.facts.labels))
    first, _ = source.batch(rows[:1])
    images = np.empty((len(rows), *first.shape[1:]), first.dtype)
    for start in range(0, len(rows), 512):
        images[start : start + 512], _ = source.batch(rows[start : start + 512])
    return ArraySource(facts, images)
