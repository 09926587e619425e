"""Ask a made catalogue for a scene, and compute by plain numpy what it must be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compactnas.cli import main
from support.stac_items import LEFT, TOP, bounds_of
from support.stac_server import Catalogue

DAYS = ("2024-06-10", "2024-06-13")
BOX = ",".join(f"{value:.7f}" for value in bounds_of(5, 5, 645, 645))

IMPATIENT = """
import sys
from compactnas.catalogues import files, grid, http
files.NETWORK.update(GDAL_HTTP_MAX_RETRY="1", GDAL_HTTP_RETRY_DELAY="0.05")
files.NETWORK.update(CPL_VSIL_CURL_NON_CACHED="/vsicurl/http://127.0.0.1")
http.BACKOFF_S, grid.BLOCK_PX = 0.01, (64,)
from compactnas.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""Runs a command with small blocks, short waits, and files that are requested again for each block."""


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


def words(catalogue: Catalogue, out: Path, *more: str) -> list[str]:
    """Words of a command for a scene of two bands."""
    base = ["scene", BOX, "--dates", "2024", "--catalogue", catalogue.url, "--bands", "B02,B05", "-o", str(out)]
    return [*base, *more]


def refused(capsys: pytest.CaptureFixture[str], command: list[str]) -> str:
    """Run a command that fails with one line, and return the line."""
    assert main(command) == 2
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("compactnas: error: ") and not said.out, said
    return lines[0]
