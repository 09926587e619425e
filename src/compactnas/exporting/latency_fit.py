"""Fit the latencies of whole networks to the sums of their parts, without negative terms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fit(sums: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit the seconds of the fixed parts and a factor for each sum of parts, none of them negative.

    Args:
        sums: Sums of the parts of each network, (networks, parts).
        whole: Seconds of each network. The relative errors are minimised.
    """
    from scipy.optimize import nnls  # late, because only measurements need it

    columns = np.column_stack([np.ones(len(sums)), sums]) / whole[:, None]
    scale = np.where(columns.any(axis=0), np.abs(columns).max(axis=0), 1.0)
    found: NDArray[np.float64] = nnls(columns / scale, np.ones(len(whole)))[0] / scale
    return found


def left_out(sums: NDArray[np.float64], whole: NDArray[np.float64], place: int) -> float:
    """Predict the seconds of one network by a fit to the other ones."""
    others = np.arange(len(whole)) != place
    found = fit(sums[others], whole[others])
    return float(found[0] + sums[place] @ found[1:])
