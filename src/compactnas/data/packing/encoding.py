"""How a packed set keeps pixels: integers as they are, reflectance as ten thousandths in 16 bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.config import PixelDtype

REFLECTANCE_DIVISOR = 10_000


class DoesNotFitError(Exception):
    """A value that the chosen numbers cannot hold."""


@dataclass(frozen=True)
class Encoding:
    """How pixels become stored numbers: value x divisor, rounded.

    Attributes:
        dtype: of the stored numbers.
        divisor: what they are divided by to get the value again.
    """

    dtype: str
    divisor: int

    @classmethod
    def of(cls, dtype: np.dtype[Any], asked: PixelDtype) -> Encoding:
        """The narrowest for pixels of this dtype: integers as they are, reflectance as 10000ths."""
        if asked == "float32":
            return cls("float32", 1)
        if dtype.kind in "ui":
            return cls("uint8" if dtype == np.uint8 and asked != "uint16" else "uint16", 1)
        return cls("uint16", REFLECTANCE_DIVISOR)

    def encode(self, pixels: NDArray[Any]) -> tuple[NDArray[Any], float]:
        """The numbers to store, and the largest rounding error in the pixels' unit.

        Errors:
            DoesNotFitError: a value is negative or too large.
        """
        if self.dtype == "float32":
            numbers = np.asarray(pixels, np.float32)
            return numbers, float(np.abs(numbers - pixels).max()) if pixels.dtype.itemsize > 4 else 0.0
        if pixels.dtype.kind != "f":
            if not (pixels.min() >= 0 and pixels.max() <= np.iinfo(self.dtype).max):
                raise DoesNotFitError
            return pixels.astype(self.dtype, copy=False), 0.0
        # What is out of range becomes another number or none, and lies more than 0.5 from it.
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.multiply(pixels, np.float32(self.divisor), dtype=np.float32)
            numbers = np.rint(scaled).astype(self.dtype)
            lost = np.subtract(scaled, numbers, out=scaled)
        error = max(float(lost.max()), -float(lost.min()))
        if not error <= 0.5:
            raise DoesNotFitError
        return numbers, error / self.divisor
