"""Mean and standard deviation of each band, from the training part alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compactnas.data.source import Indices, Source

BATCH = 512


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
    """Mean and standard deviation over all pixels of these rows, streamed, in float64.

    Batches are joined by their means and squared distances (Chan, Golub, LeVeque 1979), which
    does not cancel as the difference of two large sums does.
    """
    assert len(indices), "nothing to measure"
    bands = len(source.facts.bands)
    count, mean, squares = 0, np.zeros(bands), np.zeros(bands)
    low, high = np.full(bands, np.inf), np.full(bands, -np.inf)
    rows = np.sort(indices)
    for start in range(0, len(rows), BATCH):
        images, _ = source.batch(rows[start : start + BATCH])
        pixels = images.astype(np.float64).transpose(1, 0, 2, 3).reshape(bands, -1)
        low, high = np.minimum(low, pixels.min(1)), np.maximum(high, pixels.max(1))
        centre = pixels.mean(1)
        added, apart = pixels.shape[1], centre - mean
        squares += ((pixels - centre[:, None]) ** 2).sum(1) + apart**2 * count * added / (count + added)
        mean = mean + apart * added / (count + added)
        count += added
    std = np.where(low == high, 1.0, np.sqrt(squares / count))
    return Normalisation(tuple(mean.tolist()), tuple(std.tolist()))
