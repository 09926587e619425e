"""Fit of whole networks' latencies to the sums of their parts, none of them negative."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fit(sums: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds of the fixed parts, and a factor of each sum of parts: none negative.

    Args:
        sums: (networks, parts).
        whole: seconds of each network; relative errors count.
    """
    from scipy.optimize import nnls  # late: only a measurement needs it

    columns = np.column_stack([np.ones(len(sums)), sums]) / whole[:, None]
    scale = np.where(columns.any(axis=0), np.abs(columns).max(axis=0), 1.0)
    found: NDArray[np.float64] = nnls(columns / scale, np.ones(len(whole)))[0] / scale
    return found


def left_out(sums: NDArray[np.float64], whole: NDArray[np.float64], place: int) -> float:
    others = np.arange(len(whole)) != place
    found = fit(sums[others], whole[others])
    return float(found[0] + sums[place] @ found[1:])
