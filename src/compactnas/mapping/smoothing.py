"""The Gaussian filter of WUDAPT's maps: single cells yield to the class around them, as far as that class reaches.

An LCZ is a zone of some hundreds of metres, so a lone cell of another class is mostly a mistake. Each class is
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
"""The farthest cell that one depends on: so much around a part of a map gives the part of the filtered whole."""

UNIT = 2**20
"""Weight of a kernel's middle along one axis. Whole numbers add up exactly in float64, in any order."""

Plane = Float64[np.ndarray, "rows columns"]


def smoothed(labels: UInt8[np.ndarray, "rows columns"], cell_m: float) -> UInt8[np.ndarray, "rows columns"]:
    """The filtered map; 0 stands for no class, there and in `labels`, and stays.

    A kernel is square and ends at its radius, so that below 50 m a side of cells water stays as it is. Cells
    without a class, and those outside, take no part: a smoothed value is the class's share of the weight on cells
    that have one, so that at an edge wide kernels lose nothing to narrow ones. Where classes are equal the cell keeps
    its own, and if that class is not among them, takes the lowest number.

    The same map gives the same bytes, whole or in parts with a halo of `HALO_M` around them.

    Args:
        labels: LCZ 1 to 17, 0 for none.
        cell_m: side of a cell in metres.
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
    """Weights along one axis, of the cells whose middles lie within the radius."""
    reach = int(radius_m / cell_m + 1e-9)
    distance_m = np.arange(-reach, reach + 1) * cell_m
    weights: NDArray[np.float64] = np.rint(UNIT * np.exp(-(distance_m**2) / (2 * sigma_m**2)))
    return weights


def _convolved(mask: Bool[np.ndarray, "rows columns"], kernel: Float64[np.ndarray, " taps"]) -> Plane:
    """Weighted sum around each cell, along columns and then along rows; 0 outside."""
    sums: NDArray[np.float64] = mask.astype(np.float64)
    for _ in range(2):
        rows, columns = sums.shape
        padded: NDArray[np.float64] = np.pad(sums, ((0, 0), (len(kernel) // 2,) * 2))
        sums = np.zeros((rows, columns))
        for tap, weight in enumerate(kernel):
            sums += weight * padded[:, tap : tap + columns]
        sums = np.ascontiguousarray(sums.T)
    return sums
