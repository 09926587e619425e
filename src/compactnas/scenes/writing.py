"""Write cloud-optimised GeoTIFFs: a plain file first, then its conversion, which is read once as a check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compactnas.errors import UserError

TILE = 256
"""Side of the tiles of a file in pixels."""


@contextmanager
def cloud_optimised(file: Path, profile: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[Any]:
    """Open a GeoTIFF to fill, and convert it to a cloud-optimised one at the end.

    Args:
        file: File to write. The file `plain_NAME` beside it is used meanwhile.
        profile: Size, number format and georeference, for `rasterio.open`.
        options: Options of GDAL's COG driver.

    Raises:
        UserError: GDAL cannot write the file, for example on a full disk.
    """
    import rasterio
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError
    from rasterio.shutil import copy

    plain = file.with_name(f"plain_{file.name}")
    for left in (plain, file):  # a killed process may have left a half, which rasterio would try to open
        left.unlink(missing_ok=True)
    tiles = {"driver": "GTiff", "tiled": True, "blockxsize": TILE, "blockysize": TILE}
    try:
        with rasterio.open(plain, "w", **tiles | dict(profile)) as raster:
            yield raster
        copy(
            plain, file, driver="COG", **{"compress": "deflate", "predictor": "yes", "blocksize": TILE} | dict(options)
        )
        plain.unlink()
        with rasterio.open(file) as raster:  # GDAL may not report that the disk was full when it closed the file
            for _, window in raster.block_windows(1):
                raster.read(window=window)
    except (RasterioError, CPLE_BaseError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{file}: cannot be written ({reason}); look for a full disk, and give the same command again"
        ) from error
