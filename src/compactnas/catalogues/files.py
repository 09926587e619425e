"""Read a catalogue's files over the network, onto the grid of a scene; every fault becomes a `UserError`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from compactnas.catalogues.grid import Grid
from compactnas.catalogues.signing import Signer
from compactnas.errors import UserError
from compactnas.scenes.files import MOST_BLOCK_BYTES, MOST_PIXELS
from compactnas.scenes.scene import Window

GEOTIFF, JPEG_2000 = "GTiff", "JP2OpenJPEG"
"""Accepted formats by GDAL name. Files of other formats could refer to further files, also on this machine."""
NETWORK = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # look for no files beside a file
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_HTTP_MAX_RETRY": "4",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_CONNECTTIMEOUT": "15",
    "GDAL_HTTP_TIMEOUT": "120",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    "CPL_VSIL_CURL_CACHE_SIZE": 64 * 2**20,
    "GDAL_CACHEMAX": 64 * 2**20,
    "GDAL_NUM_THREADS": "1",
}
"""Options of GDAL for files of a catalogue."""
WHOLE_PX = 1e-3
"""A shift below this share of a pixel counts as none."""


class RemoteFiles:
    """Files of a catalogue; may be read by several threads.

    Args:
        grid: Grid of the scene.
        signer: Adds access tokens to addresses.
        gdal: Further GDAL options of the catalogue.
    """

    def __init__(self, grid: Grid, signer: Signer, gdal: tuple[tuple[str, str], ...]) -> None:
        self._grid, self._signer, self._options = grid, signer, NETWORK | dict(gdal)
        self.failed = False

    def read(self, href: str, nodata: float, window: Window, what: str) -> NDArray[Any]:
        """Read the first band of a file onto a window of the grid, by nearest neighbour.

        Args:
            href: Address of the file.
            nodata: Number for pixels that the file does not cover.
            window: Part of the grid.
            what: Item and band, for messages.

        Raises:
            UserError: The file cannot be read, or another one could not.
        """
        if self.failed:
            raise UserError(f"{what}: left after an error of another file")
        try:
            with self._opened(href, what) as raster:
                _require_holds(raster, nodata, what)
                return self._read(raster, nodata, window)
        except BaseException:
            self.failed = True
            raise

    @contextmanager
    def _opened(self, href: str, what: str) -> Iterator[Any]:
        import rasterio
        from rasterio._err import CPLE_BaseError  # GDAL's own errors, which rasterio does not always convert
        from rasterio.errors import RasterioError
        from rasterio.session import DummySession

        path = _gdal_path(self._signer.signed(href))
        driver = JPEG_2000 if urlsplit(href).path.lower().endswith(".jp2") else GEOTIFF
        try:
            with (
                rasterio.Env(DummySession(), **self._options),
                rasterio.open(path, driver=driver, sharing=False) as raster,
            ):
                _require_size(raster, what)
                yield raster
        except UserError:
            raise
        except (RasterioError, CPLE_BaseError, OSError, ValueError, MemoryError) as error:
            raise UserError(f"{what}: {_reason(error, href)}") from error

    def _read(self, raster: Any, nodata: float, window: Window) -> NDArray[Any]:
        """Read pixels as they are if they lie on the grid, and warp them otherwise."""
        from rasterio.crs import CRS
        from rasterio.vrt import WarpedVRT

        grid = self._grid
        place = grid.transform_of(window)
        if raster.crs and raster.crs.to_epsg() == grid.epsg and (start := _whole_shift(raster.transform, place)):
            return _pasted(raster, nodata, start, window)
        if raster.crs is None:
            raise ValueError("it has no coordinate system")
        with WarpedVRT(
            raster,
            crs=CRS.from_epsg(grid.epsg),
            transform=place,
            width=window.width,
            height=window.height,
            src_nodata=nodata,
            nodata=nodata,
        ) as warped:
            found: NDArray[Any] = warped.read(1)
            return found


def _whole_shift(own: Any, wanted: Any) -> tuple[int, int] | None:
    """Return the row and column of a corner in a raster with the same pixels; None if its pixels differ."""
    if (own.a, own.b, own.d, own.e) != (wanted.a, 0, 0, wanted.e):
        return None
    row, column = (wanted.f - own.f) / own.e, (wanted.c - own.c) / own.a
    if max(abs(row - round(row)), abs(column - round(column))) > WHOLE_PX:
        return None
    return round(row), round(column)


def _pasted(raster: Any, nodata: float, start: tuple[int, int], window: Window) -> NDArray[Any]:
    from rasterio.windows import Window as Part

    found = np.full((window.height, window.width), nodata, raster.dtypes[0])
    row, column = start
    top, left = max(0, row), max(0, column)
    bottom, right = min(raster.height, row + window.height), min(raster.width, column + window.width)
    if top < bottom and left < right:
        part = raster.read(1, window=Part(left, top, right - left, bottom - top))
        found[top - row : bottom - row, left - column : right - column] = part
    return found


def _gdal_path(href: str) -> str:
    """Name a file of HTTP or S3 as GDAL does; without boto3, GDAL reads the keys of S3 itself."""
    return f"/vsis3/{href.removeprefix('s3://')}" if href.startswith("s3://") else f"/vsicurl/{href}"


def _require_size(raster: Any, what: str) -> None:
    """Check the sizes in a header before any memory is allocated."""
    if raster.width * raster.height > MOST_PIXELS:
        raise UserError(f"{what}: says that it is {raster.width} x {raster.height} pixels; leave it out (--without)")
    together = raster.count if raster.interleaving is not None and raster.interleaving.name == "pixel" else 1
    rows, columns = raster.block_shapes[0]
    dtype = np.dtype(raster.dtypes[0])
    if dtype.kind not in "uif":
        raise UserError(f"{what}: holds numbers of type {raster.dtypes[0]}; leave it out (--without)")
    if rows * columns * together * dtype.itemsize > MOST_BLOCK_BYTES:
        raise UserError(
            f"{what}: is stored in blocks of {columns} x {rows} pixels, too large; leave it out (--without)"
        )


def _require_holds(raster: Any, nodata: float, what: str) -> None:
    """Check that the numbers of a file can hold its no-data value."""
    dtype = np.dtype(raster.dtypes[0])
    if dtype.kind in "ui" and not (np.iinfo(dtype).min <= nodata <= np.iinfo(dtype).max and nodata == int(nodata)):
        raise UserError(
            f"{what}: declares {nodata:g} as no data, but holds numbers of type {dtype}; leave it out (--without)"
        )


def _reason(error: BaseException, href: str) -> str:
    """Say why a file cannot be read, and what helps."""
    texts: list[str] = []
    inner: BaseException | None = error
    while inner is not None and len(texts) < 4:
        texts.append(" ".join(str(inner).split()))
        inner = inner.__cause__ or inner.__context__
    said = "; ".join(dict.fromkeys(text for text in texts if text))
    code = re.search(r"HTTP (?:response|error) code\D{0,4}(\d{3})", said)
    if code and code[1] in ("401", "403"):
        hint = "; S3 needs keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" if href.startswith("s3:") else ""
        return f"the server denies access (HTTP {code[1]}){hint}"
    if code and code[1] == "404":
        return "the server has no such file (HTTP 404)"
    if code:
        return f"the server answers with HTTP {code[1]}, after {NETWORK['GDAL_HTTP_MAX_RETRY']} retries"
    if re.search(r"could not resolve|name resolution|resolve host", said, re.IGNORECASE):
        return "the name of its server cannot be resolved; check the network"
    if re.search(r"connection refused|failed to connect|could not connect|timed? ?out", said, re.IGNORECASE):
        return "its server cannot be reached"
    return f"the file is cut off, damaged or no GeoTIFF or JPEG 2000 ({said.replace(href, 'it')[:200]})"
