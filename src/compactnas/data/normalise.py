"""Mean and standard deviation of each band: of a stream of patches, and of the training part alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

    def joined(self, images: Images) -> Moments:
        """With more patches (patches, band, row, column).

        Means and squared distances are joined (Chan, Golub, LeVeque 1979), which does not cancel as the
        difference of two large sums does.
        """
        values, by_band, pixel_axis = _flat(images)
        count, mean, added = self.count, np.array(self.mean), images[:, 0].size
        # Distances from about the mean, exactly summed in float64: what is large is gone before squaring.
        near = (values.sum(0).reshape(by_band).sum(pixel_axis, dtype=np.float64) / added).tolist()
        about = np.broadcast_to(np.expand_dims(near, pixel_axis), values[0].reshape(by_band).shape).ravel()
        apart = np.subtract(values, about, dtype=np.float64)
        offset = apart.sum(0).reshape(by_band).sum(pixel_axis) / added
        within = np.einsum("pv,pv->v", apart, apart).reshape(by_band).sum(pixel_axis) - added * offset**2
        within = np.maximum(within, 0)  # of a constant band, rounding
        moved = near + offset - mean
        return Moments(
            count=count + added,
            mean=(mean + moved * added / (count + added)).tolist(),
            squares=(np.array(self.squares) + (within + moved**2 * count * added / (count + added))).tolist(),
            least=np.minimum(self.least, values.min(0).reshape(by_band).min(pixel_axis)).tolist(),
            greatest=np.maximum(self.greatest, values.max(0).reshape(by_band).max(pixel_axis)).tolist(),
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
        moments = moments.joined(source.batch(rows[start : start + BATCH])[0])
    constant = np.equal(moments.least, moments.greatest)
    return Normalisation(tuple(moments.mean), tuple(np.where(constant, 1.0, moments.std).tolist()))
