"""WUDAPT's Gaussian filter for LCZ maps: replaces isolated cells by the class around them.

An LCZ is a zone of some hundreds of metres, so an isolated cell of another class is usually an error. Each class is
smoothed by a Gaussian of its own width, and a cell takes the class whose smoothed value is largest (Demuzere et al.
2020, doi:10.1038/s41597-020-00605-z; the filter and widths of the LCZ Generator, doi:10.3389/fenvs.2021.637455).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, UInt8
from numpy.typing import NDArray

RADIUS_SIGMA_M = (
    (200, 100),
    *((300, 150),) * 6,
    (500, 250),
    (300, 150),
    (500, 250),
    *((200, 75),) * 4,
    (300, 150),
    (200, 75),
    (50, 25),
)
"""Radius and standard deviation of each class's Gaussian, LCZ 1 to 17, in metres."""

HALO_M = 500
"""Largest distance between a cell and a cell that its result depends on; halo for filtering a map in parts."""

UNIT = 2**20
"""Weight at the centre of a kernel along one axis. Whole numbers add up exactly in float64, in any order."""

Plane = Float64[np.ndarray, "rows columns"]


def smoothed(labels: UInt8[np.ndarray, "rows columns"], cell_m: float) -> UInt8[np.ndarray, "rows columns"]:
    """Filter a map; cells without a class (0) keep 0.

    A kernel is square and ends at its radius, so water is not filtered if cells are larger than 50 m. Cells without a
    class and cells outside the map do not count: a smoothed value is the class's share of the weight on cells that
    have a class, so wide kernels are not at a disadvantage near an edge. If several classes have the largest value,
    the cell keeps its own class if that is one of them, and else takes the lowest number.

    The same map gives the same bytes, whether it is filtered whole or in parts with a halo of `HALO_M` around them.

    Args:
        labels: LCZ 1 to 17, 0 for no class.
        cell_m: Side of a cell in metres.
    """
    assert cell_m > 0 and labels.max(initial=0) <= len(RADIUS_SIGMA_M), (cell_m, labels.max(initial=0))
    result, best = np.zeros_like(labels), np.zeros(labels.shape)
    known: dict[tuple[int, int], Plane] = {}
    for number, widths in enumerate(RADIUS_SIGMA_M, 1):
        own = labels == number
        if not own.any():
            continue
        kernel = _kernel(*widths, cell_m)
        if widths not in known:
            known[widths] = _convolved(labels > 0, kernel)
        share = np.divide(_convolved(own, kernel), known[widths], out=np.zeros(labels.shape), where=labels > 0)
        wins = (share > best) | ((share == best) & own)
        best[wins], result[wins] = share[wins], number
    return result


def _kernel(radius_m: int, sigma_m: int, cell_m: float) -> Float64[np.ndarray, " taps"]:
    """Weights along one axis for the cells whose centres lie within the radius."""
    reach = int(radius_m / cell_m + 1e-9)
    distance_m = np.arange(-reach, reach + 1) * cell_m
    weights: NDArray[np.float64] = np.rint(UNIT * np.exp(-(distance_m**2) / (2 * sigma_m**2)))
    return weights


def _convolved(mask: Bool[np.ndarray, "rows columns"], kernel: Float64[np.ndarray, " taps"]) -> Plane:
    """Weighted sum around each cell, first along rows, then along columns; cells outside the map count as 0."""
    sums: NDArray[np.float64] = mask.astype(np.float64)
    for _ in range(2):
        rows, columns = sums.shape
        padded: NDArray[np.float64] = np.pad(sums, ((0, 0), (len(kernel) // 2,) * 2))
        sums = np.zeros((rows, columns))
        for tap, weight in enumerate(kernel):
            sums += weight * padded[:, tap : tap + columns]
        sums = np.ascontiguousarray(sums.T)
    return sums
