"""Sensors of catalogues: names of their bands, scale of their numbers, and which pixels are clear."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.errors import UserError
from compactnas.scenes.bands import sentinel_name
from compactnas.scenes.landsat import OF_HLS

RESOLUTION = re.compile(r"[_-]\d{2}m$", re.IGNORECASE)
"""Suffix of an asset's name with its resolution: `B02_10m`."""
LANDSAT_NUMBERED = re.compile(r"(?:^|_)b0?([1-7])(?:\.tif)?$", re.IGNORECASE)
LANDSAT_COMMON = dict(zip(("coastal", "blue", "green", "red", "nir08", "swir16", "swir22"), range(1, 8), strict=True))


@dataclass(frozen=True)
class Sensor:
    """Sensor of one or more collections.

    Attributes:
        name: Name for messages.
        bands: Bands that are taken by default.
        canonical: Function from any name of a band to the one in `bands`; unknown names are unchanged.
        pixel_m: Side of the smallest pixels in metres.
        scale: Scale from the numbers to reflectance, if an item declares none.
        offset: Offset of the reflectance, if an item declares none; for Sentinel-2, see `scaling.py`.
        nodata: Number that stands for no data, if an item declares none.
        mask: Regular expression for the name of the asset with the cloud mask.
        mask_nodata: Number that stands for no data in the mask.
        hidden_bits: Bits of the mask; if any is set, the pixel is hidden. 0 if the mask holds classes.
        platforms: Regular expression for the satellites whose items are taken; empty for all.
    """

    name: str
    bands: tuple[str, ...]
    canonical: Callable[[str], str]
    pixel_m: float
    scale: float
    offset: float
    nodata: int
    mask: str
    mask_nodata: int
    hidden_bits: int = 0
    platforms: str = ""

    def is_mask(self, asset: str) -> bool:
        """Check whether an asset of this name is the cloud mask."""
        return re.fullmatch(self.mask, asset, re.IGNORECASE) is not None

    def hidden(self, mask: NDArray[Any], classes: tuple[int, ...]) -> NDArray[np.bool_]:
        """Mark the pixels that the cloud mask hides; `classes` counts only for a mask of classes."""
        if self.hidden_bits:
            marked: NDArray[np.bool_] = (mask & self.hidden_bits) != 0
            return marked
        return np.isin(mask, classes)


def _landsat_name(name: str) -> str:
    """Convert any name of a band of Landsat 8 or 9 to the form `SR_B2`; keep any other name."""
    numbered = LANDSAT_NUMBERED.search(name)
    number = int(numbered[1]) if numbered else LANDSAT_COMMON.get(name.lower(), 0)
    return f"SR_B{number}" if number else name


def _hls_landsat_name(name: str) -> str:
    """Convert a band of HLS L30 to Landsat's name: its B05 is near infrared, and Sentinel-2's is red edge."""
    return OF_HLS.get(name.upper(), name.upper())


def _sentinel_name(name: str) -> str:
    return sentinel_name(RESOLUTION.sub("", name))


TEN = ("B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12")
SENTINEL_2 = Sensor(
    name="Sentinel-2",
    bands=TEN,
    canonical=_sentinel_name,
    pixel_m=10.0,
    scale=1e-4,
    offset=0.0,
    nodata=0,
    mask=r"scl(_\d+m)?",
    mask_nodata=0,
)
LANDSAT = Sensor(
    name="Landsat 8 and 9",
    bands=tuple(f"SR_B{number}" for number in range(1, 8)),
    canonical=_landsat_name,
    pixel_m=30.0,
    scale=2.75e-5,  # of Collection 2 Level 2, as the offset
    offset=-0.2,
    nodata=0,
    mask=r"qa_pixel(\.tif)?",
    mask_nodata=1,
    hidden_bits=0b111111,  # QA_PIXEL: fill, dilated cloud, cirrus, cloud, cloud shadow, snow
    platforms=r"landsat[-_ ]?[89]|^lc0[89]",
)
HLS_S30 = Sensor(
    name="HLS S30",
    bands=TEN,
    canonical=str.upper,
    pixel_m=30.0,
    scale=1e-4,
    offset=0.0,
    nodata=-9999,
    mask="fmask",
    mask_nodata=255,
    hidden_bits=0b11110,  # Fmask: cloud, next to a cloud or its shadow, cloud shadow, snow
)
HLS_L30 = replace(HLS_S30, name="HLS L30", bands=LANDSAT.bands, canonical=_hls_landsat_name)

BY_COLLECTION = (
    (r"hls.*s30", HLS_S30),
    (r"hls.*l30", HLS_L30),
    (r"landsat.*c2.*l2|landsat-c2l2", LANDSAT),
    (r"sentinel-?_?s?2|^s2", SENTINEL_2),
)


def sensor_of(collection: str) -> Sensor:
    """Find the sensor of a collection by its name.

    Raises:
        UserError: The collection is not of a known sensor.
    """
    for pattern, sensor in BY_COLLECTION:
        if re.search(pattern, collection, re.IGNORECASE):
            return sensor
    raise UserError(
        f"--collection: {collection[:80]!r} is not known to be of Sentinel-2, Landsat Collection 2 Level 2 or HLS; "
        "name such a collection of the catalogue"
    )


def band_of(sensor: Sensor, key: str, asset: Mapping[str, Any]) -> str:
    """Return the band of an asset by its name in the item or its only band, in the sensor's form; empty if none."""
    if not _is_raster(asset) or key.lower().endswith("-jp2"):
        return ""
    for name in (key, *_own_names(asset)):
        found = sensor.canonical(name)
        if re.fullmatch(r"(SR_)?B(\d{1,2}|8A)", found):
            return found
    return ""


def _own_names(asset: Mapping[str, Any]) -> list[str]:
    """Names of an asset's band (STAC's `eo` extension, versions 1 and 2); none if it has several bands."""
    bands = asset.get("eo:bands") or asset.get("bands")
    if not isinstance(bands, list) or len(bands) != 1 or not isinstance(bands[0], dict):
        return []
    found = (bands[0].get(key) for key in ("name", "eo:common_name", "common_name"))
    return [name for name in found if isinstance(name, str)]


def _is_raster(asset: Mapping[str, Any]) -> bool:
    """Check that an asset is a GeoTIFF or JPEG 2000 with pixels, not a picture to look at."""
    roles = asset.get("roles")
    if isinstance(roles, list) and {"thumbnail", "overview", "visual", "metadata"} & {str(role) for role in roles}:
        return False
    media = asset.get("type")
    if isinstance(media, str) and media:
        return media.lower().startswith(("image/tiff", "image/vnd.stac.geotiff", "image/jp2"))
    return str(asset.get("href", "")).partition("?")[0].lower().endswith((".tif", ".tiff", ".jp2"))
