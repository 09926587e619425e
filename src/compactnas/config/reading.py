"""Options for reading scenes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from compactnas.errors import UserError

Resampling = Literal["nearest", "bilinear"]
Caller = Literal["map", "data"]
PIXEL_M = 10.0
"""Default side of a pixel in metres, for a network that does not store it: the pixel size of Sentinel-2."""
NONE = "-"
"""Value of an option that takes a list, for an empty list."""
CLOUD_CLASSES = "0,1,3,8,9,10,11"
"""Classes of SCL without a clear view: no data, saturated, cloud shadow, clouds, cirrus, snow."""


def cloud_numbers(text: str, key: str) -> tuple[int, ...]:
    """Read a list of classes of SCL, such as `CLOUD_CLASSES`; empty for `-`.

    Args:
        text: List as it was typed.
        key: Name of the option, for messages.

    Raises:
        UserError: It is no list of numbers.
    """
    words = [] if text == NONE else text.split(",")
    if not all(word.isdigit() for word in words):
        raise UserError(f"{key}: {text!r} is no list of numbers; write 3,8,9, or - for none")
    return tuple(map(int, words))


@dataclass(frozen=True)
class Reading:
    """Options for reading scenes.

    Attributes:
        bands: Names of the bands of the file in order, B02,B03,..., or a preset: s2-13, s2-12, s2-10, eurosat,
            landsat-7; if empty, its band descriptions.
        scale: Factor from the numbers of the file to reflectance; by default the file's own, else 1/10000 for 16-bit
            numbers and 1 for others.
        offset: Offset that is added before scaling, -1000 from processing baseline 04.00 on; by default the product's,
            and 0 for a GeoTIFF.
        nodata: Numbers that stand for no data besides those that the file declares, 65535 or 0,-9999; by default they
            are recognised by their shape; `-` for none.
        mask: Raster on the grid of the scene; pixels where it is not 0 are left out; for several scenes A.tif,B.tif.
        cloud_classes: Classes of a product's scene classification (SCL) that are left out; `-` keeps all, and keeps
            the clouds of Landsat and HLS too.
        resampling: Resampling of 20 m bands to 10 m; use the same as for the training data.
        pixel_m: Side of the pixels of the training data in metres, if the network does not store it; 10 m by default.
        caller: Command or config that has these options, for messages.
    """

    bands: str = ""
    scale: float | None = None
    offset: float | None = None
    nodata: str = ""
    mask: str = ""
    cloud_classes: str = CLOUD_CLASSES
    resampling: Resampling = "nearest"
    pixel_m: float | None = None
    caller: Caller = "map"

    def __post_init__(self) -> None:
        if self.scale is not None and not (math.isfinite(self.scale) and self.scale > 0):
            raise UserError(f"{self.key('scale')}: {self.scale:g} is not above 0; reflectance x 10000 takes 0.0001")
        if self.offset is not None and not math.isfinite(self.offset):
            raise UserError(f"{self.key('offset')}: {self.offset:g} is not a finite number; give one, such as -1000")
        if self.pixel_m is not None and not (math.isfinite(self.pixel_m) and self.pixel_m > 0):
            raise UserError(f"{self.key('pixel_m')}: {self.pixel_m:g} is not above 0")
        _ = self.clouds
        try:
            _ = self.fills
        except ValueError:
            raise UserError(
                f"{self.key('nodata')}: {self.nodata!r} is no list of numbers; write 65535 or 0,-9999, or - for none"
            ) from None

    def key(self, option: str) -> str:
        """Name of an option as the user types it: `--scale` of `map`, `data.scale` of a config."""
        if self.caller == "map":
            return f"--{option.replace('_', '-')}"
        return f"data.{'scene_bands' if option == 'bands' else option}"

    @property
    def side_m(self) -> float:
        """Side of a pixel in metres."""
        return self.pixel_m or PIXEL_M

    @property
    def clouds(self) -> tuple[int, ...]:
        """Numbers of `cloud_classes`."""
        return cloud_numbers(self.cloud_classes, self.key("cloud_classes"))

    @property
    def fills(self) -> tuple[float, ...]:
        """Numbers of `nodata`; empty if they are yet to be recognised."""
        return tuple(float(word) for word in self.nodata.split(",")) if self.nodata not in ("", NONE) else ()

    def for_scenes(self, scenes: int) -> tuple[Reading, ...]:
        """Reading options of each scene, with its own mask.

        Raises:
            UserError: The number of masks differs from the number of scenes.
        """
        masks = self.mask.split(",") if self.mask else [""] * scenes
        if len(masks) != scenes:
            raise UserError(
                f"{self.key('mask')}: {len(masks)} masks for {scenes} scenes; give one for each, separated by commas"
            )
        return tuple(replace(self, mask=mask) for mask in masks)
