"""Composites against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compactnas.catalogues.composite import composed


def plain(stack: np.ndarray, clear: np.ndarray, how: str) -> np.ndarray:
    """The same by numpy's functions for arrays with NaN."""
    values = np.where(clear & (stack > 0), stack.astype(np.float64), np.nan)
    found = np.zeros(stack.shape[1:])
    some = np.isfinite(values).any(axis=0)
    function = np.nanmedian if how == "median" else np.nanmean
    found[some] = function(values[:, some], axis=0)
    return np.rint(found).astype(np.uint16)


@pytest.mark.parametrize("how", ["median", "mean"])
@settings(deadline=None, max_examples=40)
@given(days=st.integers(1, 9), share=st.floats(0, 1), seed=st.integers(0, 1000), largest=st.sampled_from([3, 65_535]))
def test_it_is_that_of_the_clear_pixels(how: str, days: int, share: float, seed: int, largest: int) -> None:
    random = np.random.default_rng(seed)
    stack = random.integers(0, largest, (days, 7, 5), np.uint16, endpoint=True)
    clear = random.random(stack.shape) < share
    expected = plain(stack, clear, how)
    np.testing.assert_array_equal(composed(stack, clear, how), expected)  # type: ignore[arg-type]
