"""Find connected areas of one class in a raster of labels; they group windows, as polygons do."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64, UInt8
from numpy.typing import NDArray

MOST_AREAS = 2**22
"""Largest number of parts of areas to tell apart, for which `Areas` takes about 200 MB."""
TOUCHING = np.ones((3, 3), np.int8)
"""Neighbours of a pixel; pixels that touch at a corner are of one area, so that no border is shared by two groups."""


class Areas:
    """Areas of a raster that is added in strips of rows, from the top.

    An area that crosses several strips has a part in each.

    Args:
        width: Number of columns of the raster.
    """

    def __init__(self, width: int) -> None:
        self._width, self._rows = width, 0
        self._firsts: list[Int64[np.ndarray, " parts"]] = []
        self._pairs: list[Int64[np.ndarray, "2 pairs"]] = []
        self._last: tuple[NDArray[np.uint8], NDArray[np.int64]] | None = None
        self.parts = 0

    def add(self, labels: UInt8[np.ndarray, "rows columns"]) -> Int64[np.ndarray, "rows columns"]:
        """Add the next strip; return the part that each pixel belongs to, counted from 1, 0 for no label."""
        from scipy.ndimage import label  # imported here, because most data has no raster of labels

        found = np.zeros(labels.shape, np.int64)
        for lcz in np.unique(labels[labels > 0]):
            numbers, count = label(labels == lcz, TOUCHING)
            places = np.flatnonzero(numbers)
            here = numbers.ravel()[places]
            found.ravel()[places] = here + self.parts
            firsts = np.empty(count + 1, np.int64)
            firsts[here[::-1]] = places[::-1]  # the last assignment is that of the first pixel
            self._firsts.append(firsts[1:] + self._rows * self._width)
            self.parts += count
        if self._last is not None:
            self._join(*self._last, labels[0], found[0])
        self._last, self._rows = (labels[-1], found[-1]), self._rows + len(labels)
        return found

    def _join(
        self,
        above: NDArray[np.uint8],
        parts_above: NDArray[np.int64],
        below: NDArray[np.uint8],
        parts: NDArray[np.int64],
    ) -> None:
        """Record which parts of two neighbouring strips touch."""
        width = self._width
        for shift in (-1, 0, 1):
            up, down = slice(max(0, shift), width + min(0, shift)), slice(max(0, -shift), width + min(0, -shift))
            same = (above[up] == below[down]) & (below[down] > 0)
            if same.any():
                self._pairs.append(np.unique(np.stack((parts_above[up][same], parts[down][same])), axis=1))

    def firsts(self) -> Int64[np.ndarray, " parts"]:
        """First pixel, in reading order, of the area of each part; entry 0 is -1."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        own = np.concatenate([[-1], *self._firsts])
        one, other = np.concatenate([np.zeros((2, 0), np.int64), *self._pairs], axis=1)
        links = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(len(own), len(own)))
        count, area = connected_components(links, directed=False)
        lowest = np.full(count, np.iinfo(np.int64).max)
        np.minimum.at(lowest, area, own)
        found: NDArray[np.int64] = lowest[area]
        return found


def area_names(firsts: Int64[np.ndarray, " areas"], width: int) -> list[str]:
    """Name areas by the row and column of their first pixel, which other areas cannot change."""
    return [
        f"area {row}/{column}"
        for row, column in zip(*(part.tolist() for part in np.divmod(firsts, width)), strict=True)
    ]
