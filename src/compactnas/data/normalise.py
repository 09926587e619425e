"""Mean and standard deviation of each band: of a stream of patches, and of the training part alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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
        pixels = images.astype(np.float64).transpose(1, 0, 2, 3).reshape(len(self.mean), -1)
        count, mean, added = self.count, np.array(self.mean), pixels.shape[1]
        centre = pixels.mean(1)
        apart = centre - mean
        within = ((pixels - centre[:, None]) ** 2).sum(1)
        return Moments(
            count=count + added,
            mean=(mean + apart * added / (count + added)).tolist(),
            squares=(np.array(self.squares) + (within + apart**2 * count * added / (count + added))).tolist(),
            least=np.minimum(self.least, pixels.min(1)).tolist(),
            greatest=np.maximum(self.greatest, pixels.max(1)).tolist(),
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
