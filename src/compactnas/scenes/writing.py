"""Write GeoTIFFs through GDAL, which may report neither a full disk nor a failed write.

So GDAL writes through files of Python here, which keep the first error and never fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compactnas.errors import UserError
from compactnas.io.forgiving_file import ForgivingFiles

TILE = 256
"""Side of the tiles of a file in pixels."""


@contextmanager
def geotiff(file: Path, profile: Mapping[str, Any]) -> Iterator[Any]:
    """Open a new GeoTIFF to fill.

    Args:
        file: File to write.
        profile: Size, number format and georeference, for `rasterio.open`.

    Raises:
        OSError: The system cannot write the file, for example on a full disk.
        UserError: GDAL cannot write the file.
    """
    with _filled(file, profile, ForgivingFiles(file.name)) as raster:
        yield raster


@contextmanager
def cloud_optimised(file: Path, profile: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[Any]:
    """Open a GeoTIFF to fill, and convert it to a cloud-optimised one at the end.

    Args:
        file: File to write. The file `plain_NAME` beside it is used meanwhile.
        profile: As for `geotiff`.
        options: Options of GDAL's COG driver.

    Raises:
        OSError: As for `geotiff`.
        UserError: As for `geotiff`.
    """
    import rasterio
    from rasterio.shutil import copy

    plain, files = file.with_name(f"plain_{file.name}"), ForgivingFiles(file.name)
    tiled = {"tiled": True, "blockxsize": TILE, "blockysize": TILE}
    with _filled(plain, tiled | dict(profile), files) as raster:
        yield raster
    file.unlink(missing_ok=True)
    given = {"compress": "deflate", "predictor": "yes", "blocksize": TILE} | dict(options)
    with _errors_told(file, files), rasterio.open(plain, opener=files) as source:
        # `copy` has no argument for an opener, but files in the folder of the source are opened by the same one.
        copy(source, source.name.removesuffix(plain.name) + file.name, driver="COG", **given)
    plain.unlink()


@contextmanager
def _filled(file: Path, profile: Mapping[str, Any], files: ForgivingFiles) -> Iterator[Any]:
    """Open a new GeoTIFF to fill."""
    import rasterio

    file.unlink(missing_ok=True)  # a killed process may have left a half, which rasterio would try to open
    with _errors_told(file, files), rasterio.open(file, "w", driver="GTiff", opener=files, **profile) as raster:
        yield raster


@contextmanager
def _errors_told(file: Path, files: ForgivingFiles) -> Iterator[None]:
    """Raise the first error of the system, else turn one of GDAL into a `UserError`."""
    from rasterio._err import CPLE_BaseError  # GDAL's own errors, which rasterio does not always convert
    from rasterio.errors import RasterioError

    try:
        yield
    except (RasterioError, CPLE_BaseError, SystemError) as error:
        if not files.errors:
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{file}: cannot be written ({reason}); look for a full disk, and give the same command again"
            ) from error
    if files.errors:
        raise files.errors[0]
