"""Write GeoTIFFs through GDAL, and compare each with what was written.

GDAL may report neither a full disk nor a failed write when it closes a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from compactnas.errors import UserError

TILE = 256
"""Side of the tiles of a file in pixels."""
FRAME_BYTES = 4
"""Bytes before and after a tile of a cloud-optimised file."""


@contextmanager
def geotiff(file: Path, profile: Mapping[str, Any]) -> Iterator[Any]:
    """Open a new GeoTIFF to fill.

    Args:
        file: File to write.
        profile: Size, number format and georeference, for `rasterio.open`.

    Raises:
        UserError: GDAL cannot write the file, for example on a full disk, or the file does not hold what was written.
    """
    import rasterio

    file.unlink(missing_ok=True)  # a killed process may have left a half, which rasterio would try to open
    with _one_line(file):
        with rasterio.open(file, "w", driver="GTiff", **profile) as raster:
            written = _remembered(raster)
            yield raster
        with rasterio.open(file) as raster:
            for (indexes, window), known in written.items():
                _require(_sum(raster.read(indexes, window=window), raster) == known)


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
        _compare(plain, file)
        plain.unlink()


def _remembered(raster: Any) -> dict[tuple[Any, Any], int]:
    """Make a raster remember the sum of the numbers that are written, by band and window."""
    write, sums = raster.write, dict[tuple[Any, Any], int]()

    def remembering(numbers: Any, indexes: Any = None, window: Any = None, **options: Any) -> None:
        write(numbers, indexes, window=window, **options)
        sums[indexes, window] = _sum(numbers, raster)

    raster.write = remembering
    return sums


def _sum(numbers: Any, raster: Any) -> int:
    return crc32(np.ascontiguousarray(numbers, raster.dtypes[0]).tobytes())


def _compare(one: Path, other: Path) -> None:
    """Compare the numbers and the description of two files, and read all parts of the second."""
    import rasterio

    with rasterio.open(one) as first, rasterio.open(other) as second:
        for name in ("descriptions", "scales", "offsets", "nodatavals", "transform", "crs"):
            _require(repr(getattr(first, name)) == repr(getattr(second, name)))  # NaN equals no NaN
        _require(second.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG")
        _require(all(first.tags(band) == second.tags(band) for band in range(1, first.count + 1)))
        for _, window in second.block_windows(1):
            _require(_sum(first.read(window=window), first) == _sum(second.read(window=window), second))
        levels = len(second.overviews(1))
        _require_frames(second, other)
    for level in range(levels):
        with rasterio.open(other, overview_level=level) as raster:
            for _, window in raster.block_windows(1):
                raster.read(window=window)
            _require_frames(raster, other)


def _require_frames(raster: Any, file: Path) -> None:
    """Compare the bytes around each tile of a cloud-optimised file with the tile.

    Its size stands in the four bytes before it, and its last four bytes are repeated (GDAL, COG driver, "header ghost
    area"). Readers of pixels skip them, so that reading finds no fault there.
    """
    bands = 1 if raster.interleaving.name == "pixel" else raster.count
    with file.open("rb") as content:
        for band in range(1, bands + 1):
            for (row, column), _ in raster.block_windows(band):
                offset, size = (
                    raster.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", bidx=band)
                    for what in ("OFFSET", "SIZE")
                )
                if offset is None:  # a tile without data is not in the file
                    continue
                content.seek(int(offset) - FRAME_BYTES)
                found = content.read(int(size) + 2 * FRAME_BYTES)
                _require(int.from_bytes(found[:FRAME_BYTES], "little") == int(size))
                _require(found[-FRAME_BYTES:] == found[-2 * FRAME_BYTES : -FRAME_BYTES])


def _require(same: bool) -> None:
    """Raise an error, which `_one_line` turns into a line, if what was read is not what was written."""
    from rasterio.errors import RasterioIOError

    if not same:
        raise RasterioIOError("what was read again is not what was written")


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
