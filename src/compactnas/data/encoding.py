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
        """The numbers to store, not yet of the stored dtype, and the largest rounding error in the pixels' unit.

        Errors:
            DoesNotFitError: a value is negative or too large.
        """
        if self.dtype == "float32":
            numbers = np.asarray(pixels, np.float32)
            return numbers, float(np.abs(numbers - pixels).max()) if pixels.dtype.itemsize > 4 else 0.0
        scaled = pixels if self.divisor == 1 else np.multiply(pixels, np.float32(self.divisor), dtype=np.float32)
        numbers = np.rint(scaled) if scaled.dtype.kind == "f" else scaled
        if not (numbers.min() >= 0 and numbers.max() <= np.iinfo(self.dtype).max):
            raise DoesNotFitError
        if numbers is scaled:
            return numbers, 0.0
        lost = np.subtract(scaled, numbers)
        return numbers, float(max(lost.max(), -lost.min())) / self.divisor
