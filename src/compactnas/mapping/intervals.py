"""Intervals of one raster's pixels in each cell of another, along one axis, and sums over them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray


class Intervals(NamedTuple):
    """Along one axis of a reference: first pixel, and the one after the last, of each cell."""

    start: Int[np.ndarray, " cells"]
    stop: Int[np.ndarray, " cells"]

    @property
    def edges(self) -> Int[np.ndarray, " edges"]:
        """Sorted first and last pixels of all intervals."""
        return np.unique(np.concatenate(self))

    @property
    def whole(self) -> tuple[int, int]:
        """From the first edge to the last."""
        edges = self.edges
        return int(edges[0]), int(edges[-1])

    @property
    def parts(self) -> Int[np.ndarray, " pixels"]:
        """Number of the two edges that each pixel from the first to the last edge lies between."""
        edges = self.edges
        return np.repeat(np.arange(len(edges) - 1), np.diff(edges))


def pixel_intervals(
    cells: NDArray[np.int64], place: tuple[float, float], own: tuple[float, float], window: float, size: int
) -> Intervals:
    """Pixels whose middles lie in each cell, or in a window around its middle; else the pixel under the middle.

    Args:
        cells: numbers of the cells along the axis.
        place: Edge of the map and side of its cells.
        own: the same of the reference.
        window: side of a window, 0 for the cell itself.
        size: pixels of the reference along the axis.
    """
    (edge, side), (own_edge, own_side) = place, own
    middle = (edge + side * (cells + 0.5) - own_edge) / own_side
    half = abs((window or side) / own_side) / 2
    # Rounded, so that what only differs in the last bits of a coordinate lies on the same side of a pixel's middle.
    start, stop = (np.ceil(np.round(middle + sign * half - 0.5, 6)) for sign in (-1, 1))
    under = np.floor(np.round(middle, 6))
    start, stop = np.where(stop > start, start, under), np.where(stop > start, stop, under + 1)
    return Intervals(*(np.clip(ends, 0, size).astype(np.int64) for ends in (start, stop)))


def sums_of(values: NDArray[np.int64], intervals: Intervals) -> NDArray[np.int64]:
    """Sum of each interval, of values between its edges."""
    sums = np.zeros((len(values) + 1, *values.shape[1:]), np.int64)
    np.cumsum(values, 0, out=sums[1:])
    first, last = (np.searchsorted(intervals.edges, ends) for ends in (intervals.start, intervals.stop))
    found: NDArray[np.int64] = sums[last] - sums[first]
    return found
