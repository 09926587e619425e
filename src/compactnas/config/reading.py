"""Options for reading scenes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from compactnas.errors import UserError

Resampling = Literal["nearest", "bilinear"]
PIXEL_M = 10.0
"""Default side of a pixel in metres, for a network that does not store it: the pixel size of Sentinel-2."""


@dataclass(frozen=True)
class Reading:
    """Options for reading scenes.

    Attributes:
        bands: Names of the bands of the file in order, B02,B03,...; if empty, its band descriptions.
        scale: Factor from the numbers of the file to reflectance; by default the file's own, else 1/10000 for 16-bit
            numbers and 1 for others.
        offset: Offset that is added before scaling, -1000 from processing baseline 04.00 on; by default the product's,
            and 0 for a GeoTIFF.
        mask: Raster on the grid of the scene; pixels where it is not 0 are left out; for several scenes A.tif,B.tif.
        cloud_classes: Classes of a product's scene classification (SCL) that are left out; `-` keeps all.
        resampling: Resampling of 20 m bands to 10 m; use the same as for the training data.
        pixel_m: Side of the pixels of the training data in metres, if the network does not store it; 10 m by default.
    """

    bands: str = ""
    scale: float | None = None
    offset: float | None = None
    mask: str = ""
    cloud_classes: str = "0,1,3,8,9,10,11"
    resampling: Resampling = "nearest"
    pixel_m: float | None = None

    def __post_init__(self) -> None:
        if self.scale is not None and not (math.isfinite(self.scale) and self.scale > 0):
            raise UserError(f"--scale: {self.scale:g} is not above 0; reflectance x 10000 takes 0.0001")
        if self.offset is not None and not math.isfinite(self.offset):
            raise UserError(f"--offset: {self.offset:g} is not a finite number; give one, such as -1000")
        if self.pixel_m is not None and not (math.isfinite(self.pixel_m) and self.pixel_m > 0):
            raise UserError(f"--pixel-m: {self.pixel_m:g} is not above 0")
        if not all(number.isdigit() for number in self._classes):
            raise UserError(
                f"--cloud-classes: {self.cloud_classes!r} is no list of numbers; write 3,8,9, or - for none"
            )

    @property
    def _classes(self) -> list[str]:
        return [] if self.cloud_classes == "-" else self.cloud_classes.split(",")

    @property
    def side_m(self) -> float:
        """Side of a pixel in metres."""
        return self.pixel_m or PIXEL_M

    @property
    def clouds(self) -> tuple[int, ...]:
        """Numbers of `cloud_classes`."""
        return tuple(map(int, self._classes))

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of `bands`."""
        return tuple(name.strip() for name in self.bands.split(",")) if self.bands else ()

    def for_scenes(self, scenes: int) -> tuple[Reading, ...]:
        """Reading options of each scene, with its own mask.

        Raises:
            UserError: The number of masks differs from the number of scenes.
        """
        masks = self.mask.split(",") if self.mask else [""] * scenes
        if len(masks) != scenes:
            raise UserError(f"--mask: {len(masks)} masks for {scenes} scenes; give one for each, separated by commas")
        return tuple(replace(self, mask=mask) for mask in masks)
