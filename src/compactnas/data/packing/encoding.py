"""Encoding of pixels in a packed set: integers unchanged, reflectance as ten-thousandths in 16 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.config import PixelDtype

REFLECTANCE_DIVISOR = 10_000


class DoesNotFitError(Exception):
    """A value does not fit the dtype of the encoding."""


@dataclass(frozen=True)
class Encoding:
    """Encoding of pixels as stored numbers: value x divisor, rounded.

    Attributes:
        dtype: Dtype of the stored numbers.
        divisor: Divisor that turns a stored number back into its value.
    """

    dtype: str
    divisor: int

    @classmethod
    def of(cls, dtype: np.dtype[Any], asked: PixelDtype) -> Encoding:
        """Choose the narrowest encoding for pixels of this dtype."""
        if asked == "float32":
            return cls("float32", 1)
        if dtype.kind in "ui":
            return cls("uint8" if dtype == np.uint8 and asked != "uint16" else "uint16", 1)
        return cls("uint16", REFLECTANCE_DIVISOR)

    def encode(self, pixels: NDArray[Any]) -> tuple[NDArray[Any], float]:
        """Return the numbers to store, and the largest rounding error in the unit of the pixels.

        Raises:
            DoesNotFitError: A value is negative or too large.
        """
        if self.dtype == "float32":
            numbers = np.asarray(pixels, np.float32)
            return numbers, float(np.abs(numbers - pixels).max()) if pixels.dtype.itemsize > 4 else 0.0
        if pixels.dtype.kind != "f":
            if not (pixels.min() >= 0 and pixels.max() <= np.iinfo(self.dtype).max):
                raise DoesNotFitError
            return pixels.astype(self.dtype, copy=False), 0.0
        # A value out of range wraps around or becomes NaN, so it differs by more than 0.5.
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.multiply(pixels, np.float32(self.divisor), dtype=np.float32)
            numbers = np.rint(scaled).astype(self.dtype)
            lost = np.subtract(scaled, numbers, out=scaled)
        error = max(float(lost.max()), -float(lost.min()))
        if not error <= 0.5:
            raise DoesNotFitError
        return numbers, error / self.divisor
