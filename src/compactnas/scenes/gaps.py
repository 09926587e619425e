"""Find pixels without a measurement: by the numbers that a file declares, and by undeclared fills.

Files often hold a number such as 0, -9999 or 65535 where nothing was measured, without saying so. Such a fill is
recognised by its shape: a square of pixels that hold the same extreme number in all bands. From then on, it counts as
if the file had declared it. NaN and infinite values are never measurements.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compactnas.scenes.scene import Window

if TYPE_CHECKING:
    from compactnas.scenes.layers import LayeredScene

LARGEST_FLOAT = float(np.finfo(np.float32).max)
FILLS = (0.0, -999.0, -9999.0, -32768.0, 65535.0, 1e20, LARGEST_FLOAT, -LARGEST_FLOAT)
"""Numbers that programs write where nothing was measured."""
BYTE_FILLS = (0.0, 255.0)
"""The same for 8-bit numbers."""
SQUARE, BYTE_SQUARE = 3, 7
"""Side of the smallest square that is a fill; for 8-bit pictures larger, because roofs and shadows reach both ends."""
STRIP_VALUES = 2**24
"""Number of values of a scene to process at a time."""


class Gaps(NamedTuple):
    """Pixels of a layer without a measurement.

    Attributes:
        marked: Mask by band, (bands, height, width).
        blank: Fill -> pixels where all bands of the layer hold it, (height, width).
    """

    marked: NDArray[np.bool_]
    blank: dict[float, NDArray[np.bool_]]


class Survey(NamedTuple):
    """Gaps of a whole scene that its files do not declare.

    Attributes:
        fills: Fill -> number of pixels that hold it in all bands.
        not_finite: Number of pixels that are NaN or infinite in a band.
    """

    fills: dict[float, int]
    not_finite: int

    def notes(self, where: str, key: str) -> tuple[str, ...]:
        """Describe the gaps, one line for each kind; `key` is the option that overrules them."""
        found = [
            f"{where}: {count} pixels hold {fill:g} in all bands and were taken as missing, though the file does not "
            f"declare it as no data; give {key} - to keep them"
            for fill, count in self.fills.items()
        ]
        if self.not_finite:
            found.append(f"{where}: {self.not_finite} pixels are NaN or infinite and were taken as missing")
        return tuple(found)


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
                band |= _equal(found, value)
    for value in {*fills, *((0.0,) if 0 in declared else ())}:
        blank[value] = np.asarray(_equal(numbers, value).all(axis=0), np.bool_)
    return Gaps(marked, blank)


def _equal(numbers: NDArray[Any], value: float) -> NDArray[np.bool_]:
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


def survey(scene: LayeredScene) -> Survey:
    """Look for fills and for values that are not finite in a whole scene, strip by strip.

    Fills that the files declare, or that were named already, are left out.
    """
    parts = scene.parts
    if any(part.layer.raster.driver == "JP2OpenJPEG" for part in parts):
        return Survey({}, 0)  # products declare their fill, and decoding one takes a minute
    dtypes = [part.dtype for part in parts]
    known = [{*part.fills, *(none for none in part.declared if none is not None)} for part in parts]
    candidates = [fill for fill in fills_of(dtypes) if not all(fill in own for own in known)]
    side = SQUARE if all(map(spread, dtypes)) else BYTE_SQUARE
    floats = any(dtype.kind == "f" for dtype in dtypes)
    counts, found, not_finite = dict.fromkeys(candidates, 0), set[float](), 0
    for window, inner in _strips(scene, side):
        first = parts[0].layer.read(parts[0].numbers[:1], window)[0]
        like = {fill: mask for fill in candidates if (mask := _equal(first, fill)).any()}
        if not like and not floats:
            continue
        broken = np.zeros(first.shape, np.bool_)
        for part in parts:
            numbers = part.layer.read(part.numbers, window)
            for fill, mask in like.items():
                mask &= _equal(numbers, fill).all(axis=0)
            broken |= _not_finite(numbers, part.declared)
        not_finite += int(broken[inner].sum())
        for fill, mask in like.items():
            counts[fill] += int(mask[inner].sum())
            if in_squares(mask, side)[inner].any():
                found.add(fill)
    return Survey({fill: counts[fill] for fill in candidates if fill in found}, not_finite)


def _not_finite(numbers: NDArray[Any], declared: Sequence[float | None]) -> NDArray[np.bool_]:
    """Mark pixels that are NaN or infinite in a band, unless NaN is its declared no-data value."""
    broken = np.zeros(numbers.shape[1:], np.bool_)
    if numbers.dtype.kind == "f":
        for band, none in zip(numbers, declared, strict=True):
            broken |= np.isinf(band) if none is not None and math.isnan(none) else ~np.isfinite(band)
    return broken


def fills_of(dtypes: Sequence[np.dtype[Any]]) -> tuple[float, ...]:
    """Usual fills that numbers of all these types can hold."""
    usual = FILLS if all(map(spread, dtypes)) else BYTE_FILLS
    return tuple(
        fill
        for fill in usual
        if all(dtype.kind == "f" or np.iinfo(dtype).min <= fill <= np.iinfo(dtype).max for dtype in dtypes)
    )


def _strips(scene: LayeredScene, margin: int) -> Iterator[tuple[Window, slice]]:
    """Yield windows over whole rows with a margin, and their rows without it."""
    height, width = scene.place.height, scene.place.width
    rows = max(1, STRIP_VALUES // (width * len(scene.bands)))
    for start in range(0, height, rows):
        first, last = max(0, start - margin), min(height, start + rows + margin)
        stop = min(height, start + rows)
        yield Window(first, 0, last - first, width), slice(start - first, stop - first)
