"""Measure the mean and standard deviation of each band, streamed over patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.data.source import Images, Indices, Source

BATCH = 512


@dataclass(frozen=True)
class Moments:
    """Moments of each band over the patches so far, in float64.

    Attributes:
        count: Number of pixels.
        mean: Mean of each band.
        squares: Sum of squared distances from the mean of each band.
        least: Smallest value of each band.
        greatest: Largest value of each band.
    """

    count: int
    mean: list[float]
    squares: list[float]
    least: list[float]
    greatest: list[float]

    @classmethod
    def none(cls, bands: int) -> Moments:
        """Return the moments of no patches."""
        return cls(0, [0.0] * bands, [0.0] * bands, [np.inf] * bands, [-np.inf] * bands)

    @classmethod
    def of(cls, images: Images, about: Sequence[float] | None = None) -> Moments:
        """Compute the moments of patches (patches, band, row, column), in their own precision if they are floats.

        Args:
            images: Patches.
            about: Value near the mean of each band; None uses the means of these patches.
        """
        layout = _Layout.of(images)
        values, by_band = layout.rows(images), layout.by_band
        precision, count = np.result_type(values.dtype, np.float32), images[:, 0].size
        # Distances from a value near the mean, so that a large common offset is gone before squaring.
        near = by_band(np.add, values.sum(0)) / count if about is None else np.array(about)
        near = near.astype(precision)
        apart = np.subtract(values, layout.row(near), dtype=precision)
        offset = by_band(np.add, apart.sum(0)) / count
        within = by_band(np.add, np.einsum("pv,pv->v", apart, apart)) - count * offset**2
        return cls(
            count=count,
            mean=(near + offset).tolist(),
            squares=np.maximum(within, 0).tolist(),  # rounding can make it negative if a band is constant
            least=by_band(np.minimum, values.min(0)).tolist(),
            greatest=by_band(np.maximum, values.max(0)).tolist(),
        )

    def joined(self, other: Moments) -> Moments:
        """Combine with the moments of more patches.

        Combining means and squared distances (Chan, Golub, LeVeque 1979) avoids the cancellation in a difference
        of two large sums.
        """
        count = self.count + other.count
        apart = np.array(other.mean) - self.mean
        between = apart**2 * self.count * other.count / count
        return Moments(
            count=count,
            mean=(self.mean + apart * other.count / count).tolist(),
            squares=(np.array(self.squares) + other.squares + between).tolist(),
            least=np.minimum(self.least, other.least).tolist(),
            greatest=np.maximum(self.greatest, other.greatest).tolist(),
        )

    def scaled(self, factor: float) -> Moments:
        """Return the moments of the same values times a positive factor."""
        mean, least, greatest = (
            (np.array(values) * factor).tolist() for values in (self.mean, self.least, self.greatest)
        )
        return replace(
            self, mean=mean, squares=(np.array(self.squares) * factor**2).tolist(), least=least, greatest=greatest
        )

    @property
    def std(self) -> list[float]:
        """Standard deviation of each band."""
        deviations: list[float] = np.sqrt(np.array(self.squares) / self.count).tolist()
        return deviations

    def by_band(self, bands: Sequence[str]) -> dict[str, dict[str, float]]:
        """Return mean, standard deviation, minimum and maximum by band name."""
        columns = zip(bands, self.mean, self.std, self.least, self.greatest, strict=True)
        return {band: {"mean": mean, "std": std, "min": low, "max": high} for band, mean, std, low, high in columns}


@dataclass(frozen=True)
class _Layout:
    """Memory layout of patches: each patch is a row of numbers, pixel by pixel or band by band."""

    bands: int
    height: int
    width: int
    band_last: bool

    @classmethod
    def of(cls, images: Images) -> _Layout:
        bands, height, width = images.shape[1:]
        return cls(bands, height, width, images.transpose(0, 2, 3, 1).flags.c_contiguous)

    def rows(self, images: Images) -> NDArray[Any]:
        """Return the patches as rows."""
        ordered = images.transpose(0, 2, 3, 1) if self.band_last else np.ascontiguousarray(images)
        return ordered.reshape(len(images), -1)

    def by_band(self, reduce: np.ufunc, row: NDArray[Any]) -> NDArray[np.float64]:
        """Reduce a row over its pixels."""
        row = row.astype(np.float64)
        if self.band_last:  # reduce long rows first: numpy is slow on short ones
            row = reduce.reduce(row.reshape(self.height, -1))
            found: NDArray[np.float64] = reduce.reduce(row.reshape(self.width, self.bands))
            return found
        return np.asarray(reduce.reduce(row.reshape(self.bands, -1), 1))

    def row(self, by_band: NDArray[Any]) -> NDArray[Any]:
        """Make a row with the same value in all pixels of a band."""
        pixels = self.height * self.width
        return np.tile(by_band, pixels) if self.band_last else np.repeat(by_band, pixels)


@dataclass(frozen=True)
class Normalization:
    """Parameters of standard scores: (value - mean) / std.

    Attributes:
        mean: Mean of each band, in the unit of the pixels.
        std: Standard deviation of each band, in the same unit; 1 for a constant band.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


def measure_normalization(source: Source, indices: Indices) -> Normalization:
    """Measure mean and standard deviation over all pixels of these rows, streamed, in float64."""
    assert len(indices), "nothing to measure"
    moments, rows = Moments.none(len(source.facts.bands)), np.sort(indices)
    for start in range(0, len(rows), BATCH):
        images = source.batch(rows[start : start + BATCH])[0].astype(np.float64)
        moments = moments.joined(Moments.of(images))
    constant = np.equal(moments.least, moments.greatest)
    return Normalization(tuple(moments.mean), tuple(np.where(constant, 1.0, moments.std).tolist()))
