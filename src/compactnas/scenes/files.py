"""Open rasters through rasterio (the `map` extra) with one driver each; every fault becomes a `UserError`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from compactnas.errors import UserError
from compactnas.io.extras import require_extra

SUFFIXES = {".tif", ".tiff"}
"""Suffixes of GeoTIFF files, in lower case; compare with `path.suffix.lower()`."""

CACHE_BYTES = {"GTiff": 64 * 2**20, "JP2OpenJPEG": 256 * 2**20, "VRT": 64 * 2**20}
"""Size of GDAL's block cache by driver, instead of GDAL's default, a share of the machine's memory.

The unit is bytes for rasterio, but megabytes for GDAL itself. One row of tiles in the ten bands of a product takes
160 MiB; with a smaller cache, each tile would be decoded again for every strip.
"""
MOST_PIXELS = 2**29
"""Maximum number of pixels in a file: four Sentinel-2 tiles. A small file can claim any number of pixels."""
MOST_BLOCK_BYTES = 2**28
"""Maximum size of a block in bytes; reading a single pixel unpacks a whole block."""
MOST_ROW_VALUES = 2**26
"""Maximum number of values in a row of pixels, over all bands."""


def require_rasterio(what: str) -> None:
    """Check that rasterio is installed.

    Raises:
        UserError: rasterio is not installed.
    """
    require_extra("map", f"{what}: GeoTIFF files need rasterio", "rasterio")


DRIVERS = {"GTiff": "GeoTIFF", "JP2OpenJPEG": "JPEG 2000 file", "VRT": "VRT", "netCDF": "netCDF", "Zarr": "Zarr store"}
"""Accepted formats by GDAL name. Files of other formats could refer to further files.

GDAL opens a VRT only as `vrt.py` rewrites it; netCDF and Zarr are read without GDAL (`cube.py`).
"""


@contextmanager
def opened(file: Path, driver: str = "GTiff", named: Path | None = None) -> Iterator[Any]:
    """Open a file with one GDAL driver, by default GeoTIFF, and refuse all other formats.

    Args:
        file: File to open.
        driver: GDAL's name of the format.
        named: File to name in messages, for a VRT in memory.

    Raises:
        UserError: The file does not exist, or cannot be opened or read.
    """
    require_rasterio(str(file))
    if named is None and not file.exists():
        raise UserError(f"{file}: does not exist; check the spelling")
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with (
            faults_told(named or file, driver),
            rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES[driver]),
            _open(file, driver) as raster,
        ):
            _require_size(raster, named or file)
            yield raster


def _open(file: Path, driver: str) -> Any:
    """Open a file, and silence the tracebacks that undecodable messages of GDAL cause.

    Rasterio decodes every message as UTF-8. If that fails, its logger prints a traceback to stderr (rasterio 1.4,
    `rasterio._env.log_error`). Such messages quote damaged tags; real errors are raised anyway.
    """
    import rasterio

    with _HOOKS:
        told, unraisable = sys.excepthook, sys.unraisablehook
        sys.excepthook = lambda kind, error, trace: None if kind is UnicodeDecodeError else told(kind, error, trace)
        sys.unraisablehook = lambda one: None if one.exc_type is UnicodeDecodeError else unraisable(one)
        try:
            return rasterio.open(file, driver=driver)
        finally:
            sys.excepthook, sys.unraisablehook = told, unraisable


_HOOKS = Lock()


@contextmanager
def faults_told(file: Path, driver: str = "GTiff") -> Iterator[None]:
    """Turn errors of GDAL inside the block into a UserError about this file."""
    from rasterio._err import CPLE_BaseError  # GDAL's own errors, which rasterio does not always convert
    from rasterio.errors import RasterioError

    try:
        yield
    except UserError:
        raise
    except (RasterioError, CPLE_BaseError, OSError, ValueError, MemoryError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{file}: cannot be read as a {DRIVERS[driver]} ({text}); replace or remove it") from error


def _require_size(raster: Any, file: Path) -> None:
    """Check the sizes in a header before any memory is allocated."""
    if raster.width * raster.height > MOST_PIXELS:
        raise UserError(f"{file}: says that it is {raster.width} x {raster.height} pixels; cut it into smaller files")
    together = raster.count if raster.interleaving is not None and raster.interleaving.name == "pixel" else 1
    for (rows, columns), dtype in zip(raster.block_shapes, raster.dtypes, strict=True):
        if rows * columns * together * np.dtype(dtype).itemsize > MOST_BLOCK_BYTES:
            raise UserError(f"{file}: is stored in blocks of {columns} x {rows} pixels; write it with smaller tiles")
    if raster.width * raster.count > MOST_ROW_VALUES:
        raise UserError(f"{file}: declares {raster.count} bands of {raster.width} pixels a row, too many; drop bands")
