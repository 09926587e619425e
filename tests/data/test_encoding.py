"""Numbers that are stored: within half a unit of the pixels or refused, and what is summed of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from compactnas.data.normalization import Moments
from compactnas.data.packing.encoding import DoesNotFitError, Encoding

PIXELS = st.floats(-8, 8, width=32) | st.floats(width=32)


@given(arrays(np.float32, (3, 2, 2, 2), elements=PIXELS))
def test_a_pixel_is_within_half_of_a_ten_thousandth_or_refused(pixels: NDArray[np.float32]) -> None:
    with np.errstate(all="ignore"):
        scaled = pixels * np.float32(10_000)
    fits = bool(np.isfinite(pixels).all() and scaled.min() >= -0.5 and scaled.max() < 65_535.5)
    try:
        numbers, error = Encoding("uint16", 10_000).encode(pixels)
    except DoesNotFitError:
        assert not fits
        return
    assert fits and numbers.dtype == np.uint16
    np.testing.assert_array_equal(numbers, np.rint(scaled))
    assert error == pytest.approx(np.abs(scaled - numbers).max() / 10_000)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_integers_are_kept_or_refused(dtype: str) -> None:
    most = np.iinfo(dtype).max
    pixels = np.array([0, 1, most], np.int64).reshape(1, 3, 1, 1)
    numbers, error = Encoding(dtype, 1).encode(pixels)
    assert numbers.dtype == dtype and error == 0
    np.testing.assert_array_equal(numbers, pixels)
    for wrong in (-1, most + 1):
        with pytest.raises(DoesNotFitError):
            Encoding(dtype, 1).encode(np.full((1, 1, 1, 1), wrong))


@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(0, 60_000))
def test_moments_of_whole_numbers_about_a_whole_number_have_the_mean_exactly(
    seed: int, band_last: bool, about: int
) -> None:
    low, spread = 60_000, 500
    numbers = np.random.default_rng(seed).integers(low, low + spread, (9, 4, 6, 5)).astype(np.uint16)
    images = numbers.transpose(0, 3, 1, 2) if band_last else numbers
    wide = images.astype(np.float64)
    for near in (None, [float(about)] * images.shape[1]):
        moments = Moments.of(images, near)
        np.testing.assert_allclose(moments.mean, wide.mean((0, 2, 3)), rtol=1e-15 if near else 1e-9)
        np.testing.assert_array_equal(moments.least, wide.min((0, 2, 3)))
        np.testing.assert_array_equal(moments.greatest, wide.max((0, 2, 3)))
    np.testing.assert_allclose(Moments.of(images, [float(low)] * images.shape[1]).std, wide.std((0, 2, 3)), rtol=1e-5)
