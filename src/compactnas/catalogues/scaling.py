"""Scale and offset of an item's numbers, decided once.

Products of Sentinel-2 from processing baseline 04.00 on have 1000 added to their numbers. Catalogues declare in
different ways whether a file still has it; the first source that answers counts:

1. `earthsearch:boa_offset_applied` (or `sentinel:boa_offset_applied`) is true: the catalogue has removed it.
2. The asset declares an offset (`raster:bands`, or `raster:offset`).
3. The processing baseline of the item.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from compactnas.catalogues.sensors import SENTINEL_2, Sensor

APPLIED = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
BASELINES = ("s2:processing_baseline", "sentinel:processing_baseline", "processing:version")
PRODUCTS = ("s2:product_uri", "sentinel:product_id", "s2:granule_id")
IN_NAME = re.compile(r"_N(\d{2})\.?(\d{2})(?:_|$)")
"""Processing baseline in the name of a product: `_N0400_` is 04.00."""
FIRST_WITH_OFFSET = (4, 0)
LEVEL_OFFSET = -0.1


class Scaling(NamedTuple):
    """Conversion of an asset's numbers to reflectance: number x scale + offset.

    Attributes:
        scale: Factor from the numbers to reflectance.
        offset: Offset, in the unit of reflectance.
        nodata: Number that stands for no data.
        source: Source of the offset.
    """

    scale: float
    offset: float
    nodata: float
    source: str


def scaling_of(item: Mapping[str, Any], asset: Mapping[str, Any], sensor: Sensor) -> Scaling:
    """Decide scale, offset and no data of an asset from its own fields and those of its item."""
    scale, offset, nodata = (_declared(asset, name) for name in ("scale", "offset", "nodata"))
    found, source = _offset(item, offset, sensor)
    return Scaling(
        sensor.scale if scale is None or scale <= 0 else scale,
        found,
        float(sensor.nodata) if nodata is None else nodata,
        source,
    )


def _offset(item: Mapping[str, Any], declared: float | None, sensor: Sensor) -> tuple[float, str]:
    properties = item["properties"]
    if sensor is SENTINEL_2:
        for name in APPLIED:
            if properties.get(name) is True:
                return 0.0, f"removed by the catalogue ({name})"
    if declared is not None:
        return declared, "declared by the asset"
    if sensor is not SENTINEL_2:
        return sensor.offset, f"that of {sensor.name}"
    baseline = _baseline(item)
    if baseline is None:
        return 0.0, "assumed: no processing baseline"
    text = f"processing baseline {baseline[0]:02}.{baseline[1]:02}"
    return (LEVEL_OFFSET if baseline >= FIRST_WITH_OFFSET else 0.0), text


def _baseline(item: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the processing baseline of a Sentinel-2 item, such as (4, 0); None if it is unknown."""
    properties = item["properties"]
    for name in BASELINES:
        found = re.fullmatch(r"(\d{1,2})\.(\d{2})", str(properties.get(name, "")))
        if found:
            return int(found[1]), int(found[2])
    for text in (*(str(properties.get(name, "")) for name in PRODUCTS), str(item.get("id", ""))):
        named = IN_NAME.search(text.removesuffix(".SAFE"))
        if named:
            return int(named[1]), int(named[2])
    return None


def _declared(asset: Mapping[str, Any], name: str) -> float | None:
    """Read a number of an asset's only band (STAC's `raster` extension, versions 1 and 2); None if it has none."""
    places: list[Any] = []
    for key in ("raster:bands", "bands"):
        bands = asset.get(key)
        if isinstance(bands, list) and len(bands) == 1 and isinstance(bands[0], dict):
            places.append(bands[0])
    places.append(asset)
    for place in places:
        for key in (f"raster:{name}", name):
            value = place.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                return float(value)
    return None
