"""Options of a map: its computation, the reading of scenes and the files to write."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from compactnas.errors import UserError

ModeName = Literal["exact", "dense"]
Edges = Literal["mirror", "leave"]
Resampling = Literal["nearest", "bilinear"]
PIXEL_M = 10.0
"""Default side of a pixel in metres, for a network that does not store it: the pixel size of Sentinel-2."""


@dataclass(frozen=True)
class MapConfig:
    """Options of a map.

    Attributes:
        mode: Mode: `exact` classifies each window on its own; `dense` shares the work of overlapping windows.
        stride_px: Distance between neighbouring windows and side of a map cell, in pixels; 0 makes cells of about
            100 m.
        edges: Treatment of the edges: `mirror` mirrors the scene so that the map covers all of it, `leave` maps only
            the cells whose window lies inside.
        min_valid: Smallest share of valid pixels in a window (no clouds, some data); invalid pixels become the mean.
        batch_size: Number of windows in a batch.
    """

    mode: ModeName = "exact"
    stride_px: int = 0
    edges: Edges = "mirror"
    min_valid: float = 1.0
    batch_size: int = 256

    def __post_init__(self) -> None:
        if not 0 < self.min_valid <= 1:
            raise UserError(f"--min-valid: {self.min_valid:g} is not above 0 and at most 1")
        if self.batch_size < 1:
            raise UserError(f"--batch-size: {self.batch_size} is less than 1")


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


@dataclass(frozen=True)
class Outputs:
    """Files that a map writes.

    Attributes:
        name: Start of the file names; if empty, the name of the scene.
        lonlat: Also write the map in degrees (EPSG:4326).
    """

    name: str = ""
    lonlat: bool = False

    def __post_init__(self) -> None:
        if self.name != Path(self.name).name or self.name.startswith("."):
            raise UserError(f"--name: {self.name!r} cannot start a file name; give a name without folders")
