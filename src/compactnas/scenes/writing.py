"""Write GeoTIFFs through GDAL, and read each once as a check: GDAL may not report a full disk when it closes a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compactnas.errors import UserError

TILE = 256
"""Side of the tiles of a file in pixels."""


@contextmanager
def geotiff(file: Path, profile: Mapping[str, Any]) -> Iterator[Any]:
    """Open a new GeoTIFF to fill.

    Args:
        file: File to write.
        profile: Size, number format and georeference, for `rasterio.open`.

    Raises:
        UserError: GDAL cannot write the file, for example on a full disk.
    """
    import rasterio

    file.unlink(missing_ok=True)  # a killed process may have left a half, which rasterio would try to open
    with _one_line(file):
        with rasterio.open(file, "w", driver="GTiff", **profile) as raster:
            yield raster
        _read(file)


@contextmanager
def cloud_optimised(file: Path, profile: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[Any]:
    """Open a GeoTIFF to fill, and convert it to a cloud-optimised one at the end.

    Args:
        file: File to write. The file `plain_NAME` beside it is used meanwhile.
        profile: As for `geotiff`.
        options: Options of GDAL's COG driver.

    Raises:
        UserError: As for `geotiff`.
    """
    from rasterio.shutil import copy

    plain = file.with_name(f"plain_{file.name}")
    with geotiff(plain, {"tiled": True, "blockxsize": TILE, "blockysize": TILE} | dict(profile)) as raster:
        yield raster
    file.unlink(missing_ok=True)
    with _one_line(file):
        copy(
            plain, file, driver="COG", **{"compress": "deflate", "predictor": "yes", "blocksize": TILE} | dict(options)
        )
        plain.unlink()
        _read(file)


def _read(file: Path) -> None:
    """Read each block of a file."""
    import rasterio

    with rasterio.open(file) as raster:
        for _, window in raster.block_windows(1):
            raster.read(window=window)


@contextmanager
def _one_line(file: Path) -> Iterator[None]:
    """Turn an error of GDAL about a file into a `UserError`."""
    from rasterio._err import CPLE_BaseError  # GDAL's own errors, which rasterio does not always convert
    from rasterio.errors import RasterioError

    try:
        yield
    except (RasterioError, CPLE_BaseError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{file}: cannot be written ({reason}); look for a full disk, and give the same command again"
        ) from error
