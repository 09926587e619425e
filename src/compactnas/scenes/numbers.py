"""Convert the numbers in a file to values; one rule for training and mapping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compactnas.errors import UserError

DIGITAL_NUMBERS = 10_000
"""Number that stands for a reflectance of 1 in Sentinel-2 products."""
ASSUMED = f"16-bit numbers without a declared scale, taken as reflectance x {DIGITAL_NUMBERS:,}"
"""Note for files whose `Scaling.assumed` is true."""


class Scaling(NamedTuple):
    """Conversion of the numbers in a file to values: number x scale + offset.

    Attributes:
        scales: Scale of each band.
        offsets: Offset of each band, in the unit of the values.
        assumed: Whether the file declares neither, so that its 16-bit numbers are taken as reflectance x 10,000.
    """

    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    assumed: bool


def scaling_of(raster: Any, bands: Sequence[int] = ()) -> Scaling:
    """Return the scaling of some bands (numbered from 1) or, by default, all; training and mapping share this rule.

    Scale and offset declared in the file come first. Without them, bands of 16-bit numbers are taken as reflectance x
    10,000, as in Sentinel-2 products, and others as values. The bands of a cube may differ.
    """
    numbers = bands or range(1, raster.count + 1)
    scales = tuple(float(raster.scales[number - 1]) for number in numbers)
    offsets = tuple(float(raster.offsets[number - 1]) for number in numbers)
    short = [raster.dtypes[number - 1] in ("uint16", "int16") for number in numbers]
    if set(scales) != {1.0} or any(offsets) or not any(short):
        return Scaling(scales, offsets, assumed=False)
    return Scaling(tuple(1 / DIGITAL_NUMBERS if one else 1.0 for one in short), offsets, assumed=True)


def reflectance(pixels: NDArray[Any], raster: Any) -> NDArray[Any]:
    """Convert the numbers of a file, all bands, to values in float32 (`scaling_of`); return values unchanged."""
    scaling = scaling_of(raster)
    scales, offsets = np.array(scaling.scales, np.float32), np.array(scaling.offsets, np.float32)
    if (scales == 1).all() and (offsets == 0).all():
        return pixels
    return scaled(pixels, scales, offsets, raster.name)


def scaled(
    pixels: NDArray[Any], scales: NDArray[np.float32], offsets: NDArray[np.float32], name: str
) -> NDArray[np.float32]:
    """Multiply by the scale of each band and add its offset, in float32; `name` is the name of the file.

    Raises:
        UserError: A scale is 0, or a scale or offset is not finite.
    """
    with np.errstate(all="ignore"):
        usable = np.isfinite(1 / scales).all() and np.isfinite(scales).all() and np.isfinite(offsets).all()
    if not usable:
        raise UserError(f"{name}: has a scale of 0, or a scale or offset that is not finite; export it with valid ones")
    # Divide if the divisor is whole, so that 1234 becomes the float32 nearest to 0.1234.
    divisors = np.round(1 / scales)
    exact = np.allclose(divisors * scales, 1, rtol=1e-6)
    with np.errstate(all="ignore"):  # an overflow becomes infinite, which callers refuse
        values = pixels / divisors[:, None, None] if exact else pixels * scales[:, None, None]
        found: NDArray[np.float32] = np.asarray(values + offsets[:, None, None], np.float32)
    return found
