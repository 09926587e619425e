"""Look through a whole scene for pixels without a measurement that its files do not declare."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compactnas.scenes.gaps import BYTE_SQUARE, SQUARE, equal_to, fills_of, in_squares, spread
from compactnas.scenes.layers import LayeredScene
from compactnas.scenes.scene import Window

STRIP_VALUES = 2**24
"""Number of values of a scene to process at a time."""


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
        like = {fill: mask for fill in candidates if (mask := equal_to(first, fill)).any()}
        if not like and not floats:
            continue
        broken = np.zeros(first.shape, np.bool_)
        for part in parts:
            numbers = part.layer.read(part.numbers, window)
            for fill, mask in like.items():
                mask &= equal_to(numbers, fill).all(axis=0)
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


def _strips(scene: LayeredScene, margin: int) -> Iterator[tuple[Window, slice]]:
    """Yield windows over whole rows with a margin, and their rows without it."""
    height, width = scene.place.height, scene.place.width
    rows = max(1, STRIP_VALUES // (width * len(scene.bands)))
    for start in range(0, height, rows):
        first, last = max(0, start - margin), min(height, start + rows + margin)
        stop = min(height, start + rows)
        yield Window(first, 0, last - first, width), slice(start - first, stop - first)
