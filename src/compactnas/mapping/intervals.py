"""Intervals of pixels of one raster in each cell of another, along one axis, and sums over them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray


class Intervals(NamedTuple):
    """First pixel of each cell along one axis of a reference, and the pixel after the last."""

    start: Int[np.ndarray, " cells"]
    stop: Int[np.ndarray, " cells"]

    @property
    def edges(self) -> Int[np.ndarray, " edges"]:
        """Sorted starts and stops of all intervals, without duplicates."""
        return np.unique(np.concatenate(self))

    @property
    def whole(self) -> tuple[int, int]:
        """First and last edge."""
        edges = self.edges
        return int(edges[0]), int(edges[-1])

    @property
    def parts(self) -> Int[np.ndarray, " pixels"]:
        """Number of the part, between two neighbouring edges, that each pixel from first to last edge lies in."""
        edges = self.edges
        return np.repeat(np.arange(len(edges) - 1), np.diff(edges))


def pixel_intervals(
    cells: NDArray[np.int64], place: tuple[float, float], own: tuple[float, float], window: float, size: int
) -> Intervals:
    """Find the pixels whose centres lie in each cell, or in a window around its centre.

    If there are none, take the pixel under the centre of the cell.

    Args:
        cells: Numbers of the cells along the axis.
        place: Edge of the map and side of its cells.
        own: Edge of the reference and side of its pixels.
        window: Side of a window; 0 for the cell itself.
        size: Number of pixels of the reference along the axis.
    """
    (edge, side), (own_edge, own_side) = place, own
    middle = (edge + side * (cells + 0.5) - own_edge) / own_side
    half = abs((window or side) / own_side) / 2
    # Rounded, so that differences in the last bits of a coordinate do not move it across the centre of a pixel.
    start, stop = (np.ceil(np.round(middle + sign * half - 0.5, 6)) for sign in (-1, 1))
    under = np.floor(np.round(middle, 6))
    start, stop = np.where(stop > start, start, under), np.where(stop > start, stop, under + 1)
    return Intervals(*(np.clip(ends, 0, size).astype(np.int64) for ends in (start, stop)))


def sums_of(values: NDArray[np.int64], intervals: Intervals) -> NDArray[np.int64]:
    """Sum the values between neighbouring edges over each interval."""
    sums = np.zeros((len(values) + 1, *values.shape[1:]), np.int64)
    np.cumsum(values, 0, out=sums[1:])
    first, last = (np.searchsorted(intervals.edges, ends) for ends in (intervals.start, intervals.stop))
    found: NDArray[np.int64] = sums[last] - sums[first]
    return found
