"""What a scene from a catalogue must be, by plain numpy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from support.stac_items import LEFT, TOP


def plain_composite(values: np.ndarray, clear: np.ndarray, function: Callable[..., Any] = np.nanmedian) -> np.ndarray:
    """Composite of (days, bands, rows, columns) by numpy; 0 where no day is clear."""
    seen = np.where(clear[:, None], values.astype(np.float64), np.nan)
    some = clear.any(axis=0)
    found = np.zeros(values.shape[1:])
    found[:, some] = function(seen[:, :, some], axis=0)
    return np.rint(found).astype(np.uint16)


def read_scene(file: Path, pixel_m: float = 10.0) -> tuple[np.ndarray, tuple[slice, slice]]:
    """Read a scene, and the part of the made tile that it shows."""
    import rasterio

    with rasterio.open(file) as raster:
        row, column = round((TOP - raster.transform.f) / pixel_m), round((raster.transform.c - LEFT) / pixel_m)
        assert (raster.transform.a, raster.transform.e) == (pixel_m, -pixel_m)
        return raster.read(), (slice(row, row + raster.height), slice(column, column + raster.width))
