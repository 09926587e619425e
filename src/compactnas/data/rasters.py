"""Read GeoTIFF files through rasterio (the `map` extra); every fault becomes a `UserError`."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compactnas.errors import UserError

SUFFIXES = {".tif", ".tiff"}
DIGITAL_NUMBERS = 10_000
"""Number that stands for a reflectance of 1 in Sentinel-2 products."""
ASSUMED = f"16-bit numbers without a declared scale, taken as reflectance x {DIGITAL_NUMBERS:,}"
"""Note for files whose `Scaling.assumed` is true."""
EUROSAT_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B10", "B11", "B12", "B8A")
"""Band order of EuroSAT's Sentinel-2 patches with 13 bands, whose files contain no band names."""


CACHE_BYTES = {"GTiff": 64 * 2**20, "JP2OpenJPEG": 256 * 2**20}
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
    if find_spec("rasterio") is None:
        raise UserError(f"{what}: GeoTIFF files need rasterio; install with pip install 'compactnas[map]'")


DRIVERS = {"GTiff": "GeoTIFF", "JP2OpenJPEG": "JPEG 2000 file"}
"""Accepted formats by GDAL name. Files of other formats could refer to further files."""


@contextmanager
def opened(file: Path, driver: str = "GTiff") -> Iterator[Any]:
    """Open a file with one GDAL driver, by default GeoTIFF, and refuse all other formats.

    Raises:
        UserError: The file does not exist, or cannot be opened or read.
    """
    require_rasterio(str(file))
    if not file.exists():
        raise UserError(f"{file}: does not exist; check the spelling")
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with (
            faults_told(file, driver),
            rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES[driver]),
            _open(file, driver) as raster,
        ):
            _require_size(raster, file)
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


def band_names(raster: Any) -> tuple[str, ...]:
    """Return the band descriptions; if incomplete, EuroSAT's names for 13 bands, otherwise band1, band2, ..."""
    names = tuple(name or "" for name in raster.descriptions)
    if all(names) and len(set(names)) == len(names):
        return names
    if len(names) == len(EUROSAT_BANDS):
        return EUROSAT_BANDS
    return tuple(f"band{number}" for number in range(1, len(names) + 1))


def is_upright(raster: Any) -> bool:
    """Check that rows run south and columns run east."""
    transform = raster.transform
    if not all(math.isfinite(value) for value in transform[:6]):
        return False
    return bool(raster.crs and transform.b == 0 and transform.d == 0 and transform.a > 0 > transform.e)


def place_of(raster: Any) -> tuple[int, tuple[float, float, float, float]] | None:
    """Return EPSG code and bounds (left, bottom, right, top); None if there is no code or the file is rotated."""
    epsg = raster.crs.to_epsg() if raster.crs else None
    if not epsg or not is_upright(raster):
        return None
    left, bottom, right, top = map(float, raster.bounds)
    return int(epsg), (left, bottom, right, top)


class Scaling(NamedTuple):
    """Conversion of the numbers in a file to values: number x scale + offset.

    Attributes:
        scales: Scale of each band.
        offsets: Offset of each band, in the unit of the values.
        assumed: Whether the file declares neither, so that its 16-bit numbers are taken as reflectance x 10,000.
    """

    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    assumed: bool


def scaling_of(raster: Any, bands: Sequence[int] = ()) -> Scaling:
    """Return the scaling of some bands (numbered from 1) or, by default, all; training and mapping share this rule.

    Scale and offset declared in the file come first. Without them, 16-bit numbers are taken as reflectance x 10,000,
    as in Sentinel-2 products, and other numbers as values.
    """
    numbers = bands or range(1, raster.count + 1)
    scales = tuple(float(raster.scales[number - 1]) for number in numbers)
    offsets = tuple(float(raster.offsets[number - 1]) for number in numbers)
    declared = set(scales) != {1.0} or any(offsets)
    if declared or not {raster.dtypes[number - 1] for number in numbers} <= {"uint16", "int16"}:
        return Scaling(scales, offsets, assumed=False)
    return Scaling((1 / DIGITAL_NUMBERS,) * len(scales), offsets, assumed=True)


def reflectance(pixels: NDArray[Any], raster: Any) -> NDArray[Any]:
    """Convert the numbers of a file, all bands, to values in float32 (`scaling_of`); return values unchanged."""
    scaling = scaling_of(raster)
    scales, offsets = np.array(scaling.scales, np.float32), np.array(scaling.offsets, np.float32)
    if (scales == 1).all() and (offsets == 0).all():
        return pixels
    return scaled(pixels, scales, offsets, raster.name)


def scaled(
    pixels: NDArray[Any], scales: NDArray[np.float32], offsets: NDArray[np.float32], name: str
) -> NDArray[np.float32]:
    """Multiply by the scale of each band and add its offset, in float32; `name` is the name of the file.

    Raises:
        UserError: A scale is 0, or a scale or offset is not finite.
    """
    with np.errstate(all="ignore"):
        usable = np.isfinite(1 / scales).all() and np.isfinite(scales).all() and np.isfinite(offsets).all()
    if not usable:
        raise UserError(f"{name}: has a scale of 0, or a scale or offset that is not finite; export it with valid ones")
    # Divide if the divisor is whole, so that 1234 becomes the float32 nearest to 0.1234.
    divisors = np.round(1 / scales)
    exact = np.allclose(divisors * scales, 1, rtol=1e-6)
    with np.errstate(all="ignore"):  # an overflow becomes infinite, which callers refuse
        values = pixels / divisors[:, None, None] if exact else pixels * scales[:, None, None]
        found: NDArray[np.float32] = np.asarray(values + offsets[:, None, None], np.float32)
    return found


def no_data(pixels: NDArray[Any], nodata: Sequence[float | None]) -> NDArray[np.bool_]:
    """Mark the numbers that stand for no data, band by band.

    A declared 0 counts as no data if all bands are 0, or if one band is 0 over a region: a single 0 may be a dark
    roof, but no ground is 0 over 3 x 3 pixels.

    Args:
        pixels: Numbers of the file, (bands, height, width).
        nodata: Declared no-data value of each band, or None.
    """
    marked = np.zeros(pixels.shape, np.bool_)
    for band, numbers, none in zip(marked, pixels, nodata, strict=True):
        if none == 0:
            band[:] = _regions(numbers == 0)
        elif none is not None:
            band[:] = np.isnan(numbers) if math.isnan(none) else numbers == none
    if any(none == 0 for none in nodata):
        marked |= (pixels == 0).all(axis=0)
    return marked


def _regions(zero: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the regions that contain a square of 3 x 3 pixels; pixels beyond the edge count as part of a region."""
    if not zero.any():
        return zero
    from scipy.ndimage import binary_dilation, binary_erosion  # imported here, because most scenes do not need it

    square = np.ones((3, 3), np.bool_)
    kept: NDArray[np.bool_] = binary_dilation(binary_erosion(zero, square, border_value=1), square) & zero
    return kept


WEB_MERCATOR = 3857


def require_upright_metres(raster: Any, where: str, pixel_m: float | None = None) -> None:
    """Check that a raster is a map in metres whose rows run south.

    Args:
        raster: Open raster.
        where: File name for messages.
        pixel_m: Pixel side for the suggested warp command; by default, about that of the raster.

    Raises:
        UserError: The raster is not such a map; the message names the command that makes one.
    """
    crs = raster.crs
    if crs is None:
        raise UserError(f"{where}: has no coordinate system; set the one that it was made in (rio edit-info --crs)")
    if crs.is_geographic or crs.to_epsg() == WEB_MERCATOR:
        kind = "is in degrees" if crs.is_geographic else "is in Web Mercator, whose metres are not those of the ground"
        res = f" --res {pixel_m:g}" if pixel_m else ""
        raise UserError(f"{where}: {kind}; warp it to UTM first (rio warp --dst-crs {utm_of(raster)}{res})")
    if not is_upright(raster):
        raise UserError(f"{where}: is rotated or has no coordinates; warp it to a map first (rio warp)")
    if not is_metric(crs):
        raise UserError(f"{where}: its coordinate system is not in metres; warp it to UTM first (rio warp)")


def is_metric(crs: Any) -> bool:
    """Check that a coordinate system is projected, in metres."""
    return bool(crs.is_projected and abs(crs.linear_units_factor[1] - 1) <= 1e-9)


def utm_of(raster: Any) -> str:
    """Return the EPSG code of the UTM zone at a raster's centre; `EPSG:...` if it is unknown."""
    from rasterio.errors import RasterioError
    from rasterio.warp import transform

    at = raster.transform
    x, y = at.c + raster.width * at.a / 2, at.f + raster.height * at.e / 2
    try:
        (longitude,), (latitude,) = transform(raster.crs, "EPSG:4326", [x], [y])
    except (RasterioError, ValueError):
        return "EPSG:..."
    if not (abs(longitude) <= 180 and abs(latitude) <= 90):
        return "EPSG:..."
    zone = min(60, 1 + int((longitude + 180) // 6))
    return f"EPSG:{(32600 if latitude >= 0 else 32700) + zone}"
