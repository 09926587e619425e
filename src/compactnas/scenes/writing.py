"""Write GeoTIFFs through GDAL, which may report neither a full disk nor a failed write.

So GDAL writes through files of Python here, which keep the first error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compactnas.errors import UserError
from compactnas.io.forgiving_file import ForgivingFile

TILE = 256
"""Side of the tiles of a file in pixels."""
Opener = Callable[[str, str], ForgivingFile]
"""Function that opens a file for GDAL."""


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
    import rasterio

    file.unlink(missing_ok=True)  # a killed process may have left a half, which rasterio would try to open
    with _errors_told(file) as opener, rasterio.open(file, "w", driver="GTiff", opener=opener, **profile) as raster:
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
    from rasterio._vsiopener import _opener_registration  # copy() has no argument for it
    from rasterio.shutil import copy

    plain = file.with_name(f"plain_{file.name}")
    with geotiff(plain, {"tiled": True, "blockxsize": TILE, "blockysize": TILE} | dict(profile)) as raster:
        yield raster
    file.unlink(missing_ok=True)
    given = {"compress": "deflate", "predictor": "yes", "blocksize": TILE} | dict(options)
    with _errors_told(file) as opener, _opener_registration(str(file), opener) as target:
        copy(plain, target, driver="COG", **given)
    plain.unlink()


@contextmanager
def _errors_told(file: Path) -> Iterator[Opener]:
    """Open files for GDAL; raise the first error of the system, else turn one of GDAL into a `UserError`."""
    from rasterio._err import CPLE_BaseError  # GDAL's own errors, which rasterio does not always convert
    from rasterio.errors import RasterioError

    opened = list[ForgivingFile]()

    def opener(path: str, mode: str = "r") -> ForgivingFile:
        opened.append(ForgivingFile(path, mode))
        return opened[-1]

    try:
        yield opener
    except (RasterioError, CPLE_BaseError, SystemError) as error:
        _raise_first(opened)
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{file}: cannot be written ({reason}); look for a full disk, and give the same command again"
        ) from error
    _raise_first(opened)


def _raise_first(opened: list[ForgivingFile]) -> None:
    for file in opened:
        if file.error is not None:
            raise file.error
