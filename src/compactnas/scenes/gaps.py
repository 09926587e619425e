"""Find pixels without a measurement: by the numbers that a file declares, and by undeclared fills.

Files often hold a number such as 0, -9999 or 65535 where nothing was measured, without saying so. Such a fill is
recognised by its shape: a square of pixels that hold the same extreme number in all bands. From then on, it counts as
if the file had declared it. NaN and infinite values are never measurements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LARGEST_FLOAT = float(np.finfo(np.float32).max)
FILLS = (0.0, -999.0, -9999.0, -32768.0, 65535.0, 1e20, LARGEST_FLOAT, -LARGEST_FLOAT)
"""Numbers that programs write where nothing was measured."""
BYTE_FILLS = (0.0, 255.0)
"""The same for 8-bit numbers."""
SQUARE, BYTE_SQUARE = 3, 7
"""Side of the smallest square that is a fill; for 8-bit pictures larger, because roofs and shadows reach both ends."""


class Gaps(NamedTuple):
    """Pixels of a layer without a measurement.

    Attributes:
        marked: Mask by band, (bands, height, width).
        blank: Fill -> pixels where all bands of the layer hold it, (height, width).
    """

    marked: NDArray[np.bool_]
    blank: dict[float, NDArray[np.bool_]]


def spread(dtype: np.dtype[Any]) -> bool:
    """Check whether a fill also counts in single bands; in 8-bit numbers, all bands must hold it."""
    return dtype.itemsize > 1


def find_gaps(numbers: NDArray[Any], declared: Sequence[float | None], fills: Sequence[float]) -> Gaps:
    """Mark the numbers that stand for no data.

    A number marks its own pixel and band. 0 is weaker, because a single 0 may be a dark roof: it marks a band over at
    least 3 x 3 pixels, or a pixel if all bands of the scene are 0 (`blank`).

    Args:
        numbers: Numbers of the file, (bands, height, width).
        declared: No-data value that the file declares for each band, or None.
        fills: Further numbers that stand for no data in all bands.
    """
    marked, blank = np.zeros(numbers.shape, np.bool_), dict[float, NDArray[np.bool_]]()
    for band, found, own in zip(marked, numbers, declared, strict=True):
        for value in {*fills, *((own,) if own is not None else ())}:
            if math.isnan(value):
                band |= np.isnan(found)
            elif value == 0:
                band |= in_squares(found == 0, SQUARE)
            elif value == own or spread(found.dtype):
                band |= equal_to(found, value)
    for value in {*fills, *((0.0,) if 0 in declared else ())}:
        blank[value] = np.asarray(equal_to(numbers, value).all(axis=0), np.bool_)
    return Gaps(marked, blank)


def equal_to(numbers: NDArray[Any], value: float) -> NDArray[np.bool_]:
    """Compare numbers with a value in their own type, without a copy as floats."""
    whole = numbers.dtype.kind in "iu" and value.is_integer()
    return np.asarray(numbers == (int(value) if whole else value), np.bool_)


def in_squares(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Keep the pixels of a mask that lie in a square of this side; pixels beyond the edge count as part of one."""
    if not mask.any():
        return mask
    from scipy.ndimage import maximum_filter1d, minimum_filter1d  # late, because most scenes do not need it

    kept = mask.astype(np.uint8)
    for axis in (0, 1):
        kept = minimum_filter1d(kept, side, axis=axis, mode="constant", cval=1)
    for axis in (0, 1):
        kept = maximum_filter1d(kept, side, axis=axis, mode="constant", cval=0)
    found: NDArray[np.bool_] = kept.astype(np.bool_) & mask
    return found


def fills_of(dtypes: Sequence[np.dtype[Any]]) -> tuple[float, ...]:
    """Usual fills that numbers of all these types can hold."""
    usual = FILLS if all(map(spread, dtypes)) else BYTE_FILLS
    return tuple(
        fill
        for fill in usual
        if all(dtype.kind == "f" or np.iinfo(dtype).min <= fill <= np.iinfo(dtype).max for dtype in dtypes)
    )
