"""A tiny valid set of the format `scenes`: reflectance with a map of labels beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compactnas.config import DataConfig
from compactnas.lcz import NAMES
from support.data_files import Made
from support.map_files import write_raster

CELL, WINDOW = 10, 8
"""Pixels of a label's side, and of a window in its middle."""


def make(where: Path) -> Made:
    pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")
    numbers = np.random.default_rng(0).integers(1, 9000, (3, 60, 70)).astype(np.uint16)
    bands = ("B02", "B03", "B04")
    path = write_raster(where / "rome.tif", numbers, descriptions=bands, scale=1e-4)
    labels = np.random.default_rng(1).integers(1, 18, (1, 6, 7)).astype(np.uint8)
    write_raster(where / "rome_lcz.tif", labels, 100.0, nodata=0)
    edge = (CELL - WINDOW) // 2
    cells = numbers.reshape(3, 6, CELL, 7, CELL).transpose(1, 3, 0, 2, 4).reshape(-1, 3, CELL, CELL)
    images = np.float32(1e-4) * cells[..., edge:-edge, edge:-edge].astype(np.float32)
    config = DataConfig(str(path), window_px=WINDOW)
    return Made(config, images, labels.ravel().astype(np.int64) - 1, NAMES, bands)
