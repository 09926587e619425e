"""Mean and standard deviation of each band: of a stream of patches, and of the training part alone."""

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
    """Of each band, over the patches so far, in float64.

    Attributes:
        count: pixels.
        mean: of each band.
        squares: sum of squared distances from the mean.
        least: value.
        greatest: value.
    """

    count: int
    mean: list[float]
    squares: list[float]
    least: list[float]
    greatest: list[float]

    @classmethod
    def none(cls, bands: int) -> Moments:
        """Of no patches."""
        return cls(0, [0.0] * bands, [0.0] * bands, [np.inf] * bands, [-np.inf] * bands)

    @classmethod
    def of(cls, images: Images) -> Moments:
        """Of some patches (patches, band, row, column); summed in their own precision if that is a float's."""
        values, by_band, pixel_axis = _flat(images)
        precision, count = np.result_type(values.dtype, np.float32), images[:, 0].size
        # Distances from about the mean: what is large and the same in all is gone before squaring.
        near = values.sum(0).reshape(by_band).sum(pixel_axis, dtype=np.float64) / count
        near = near.astype(precision)
        about = np.broadcast_to(np.expand_dims(near, pixel_axis), values[0].reshape(by_band).shape).ravel()
        apart = np.subtract(values, about, dtype=precision)
        offset = _by_band(apart.sum(0), by_band, pixel_axis) / count
        within = _by_band(np.einsum("pv,pv->v", apart, apart), by_band, pixel_axis) - count * offset**2
        return cls(
            count=count,
            mean=(near + offset).tolist(),
            squares=np.maximum(within, 0).tolist(),  # below 0 by rounding where a band is constant
            least=values.min(0).reshape(by_band).min(pixel_axis).astype(np.float64).tolist(),
            greatest=values.max(0).reshape(by_band).max(pixel_axis).astype(np.float64).tolist(),
        )

    def joined(self, other: Moments) -> Moments:
        """With those of more patches.

        Means and squared distances are joined (Chan, Golub, LeVeque 1979), which does not cancel as the
        difference of two large sums does.
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
        """Of the same values times a positive factor."""
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
        """Mean, standard deviation, least and greatest value by the bands' names."""
        columns = zip(bands, self.mean, self.std, self.least, self.greatest, strict=True)
        return {band: {"mean": mean, "std": std, "min": low, "max": high} for band, mean, std, low, high in columns}


def _flat(images: Images) -> tuple[NDArray[Any], tuple[int, int], int]:
    """Patches as rows in the order in which they lie in memory, the shape of a row by band, and its axis of pixels."""
    patches, bands = images.shape[:2]
    last = images.transpose(0, 2, 3, 1)
    if last.flags.c_contiguous:
        return last.reshape(patches, -1), (-1, bands), 0
    return np.ascontiguousarray(images).reshape(patches, -1), (bands, -1), 1


def _by_band(row: NDArray[Any], by_band: tuple[int, int], pixel_axis: int) -> NDArray[np.float64]:
    sums: NDArray[np.float64] = row.reshape(by_band).sum(pixel_axis, dtype=np.float64)
    return sums


@dataclass(frozen=True)
class Normalisation:
    """What turns raw values into standard scores: (value - mean) / std.

    Attributes:
        mean: of each band, in the unit of the pixels.
        std: of each band, in the same unit; 1 for a constant band.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


def measure_normalisation(source: Source, indices: Indices) -> Normalisation:
    """Mean and standard deviation over all pixels of these rows, streamed, in float64."""
    assert len(indices), "nothing to measure"
    moments, rows = Moments.none(len(source.facts.bands)), np.sort(indices)
    for start in range(0, len(rows), BATCH):
        images = source.batch(rows[start : start + BATCH])[0].astype(np.float64)
        moments = moments.joined(Moments.of(images))
    constant = np.equal(moments.least, moments.greatest)
    return Normalisation(tuple(moments.mean), tuple(np.where(constant, 1.0, moments.std).tolist()))
