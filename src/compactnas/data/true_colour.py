"""Show patches in colour: the bands that become red, green and blue, and the stretch of their values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

TRUE_COLOUR = (("B04", "B03", "B02"), ("SR_B4", "SR_B3", "SR_B2"), ("R", "G", "B"), ("red", "green", "blue"))
"""Red, green and blue of Sentinel-2, of Landsat 8 and 9, and of pictures."""


def shown_bands(bands: tuple[str, ...]) -> list[int]:
    """Find the positions of red, green and blue; of the first three bands, if the names do not tell."""
    colours = next((names for names in TRUE_COLOUR if set(names) <= set(bands)), None)
    return [bands.index(name) for name in colours] if colours else [min(i, len(bands) - 1) for i in range(3)]


def band_words(bands: tuple[str, ...]) -> str:
    """Say which bands are shown as red, green and blue."""
    if len(bands) == 1:
        return f"{bands[0]} in grey"
    names = ", ".join(bands[place] for place in shown_bands(bands))
    known = any(set(colours) <= set(bands) for colours in TRUE_COLOUR)
    return f"true colour ({names})" if known else f"{names} as red, green and blue"


def stretched(image: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.uint8]:
    """Stretch three bands from `low` (0) to `high` (255); return (row, column, band)."""
    shares = np.clip((image.transpose(1, 2, 0) - low) / np.maximum(high - low, 1e-6), 0, 1)
    return np.asarray(shares * 255, np.uint8)
