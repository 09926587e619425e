"""A scene with its place on the ground, read window by window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32

from compactnas.data.rasters import require_upright_metres
from compactnas.errors import UserError

SAME_M = 0.01
"""Corners nearer than a centimetre are the same."""

Pixels = Float32[np.ndarray, "bands height width"]
Valid = Bool[np.ndarray, "height width"]


class Window(NamedTuple):
    """A part of a scene, in its pixels."""

    row: int
    column: int
    height: int
    width: int


@dataclass(frozen=True)
class Place:
    """Georeference of a raster.

    Attributes:
        crs: its coordinate system, rasterio's.
        transform: Affine transform from column and row to x and y of a pixel's upper left corner.
        height: rows.
        width: columns.
    """

    crs: Any
    transform: Any
    height: int
    width: int

    @classmethod
    def of(cls, raster: Any) -> Place:
        """That of a raster that rasterio has opened."""
        return cls(raster.crs, raster.transform, raster.height, raster.width)

    def same_grid(self, other: Place) -> bool:
        """Check whether the pixels of both are the same squares of ground, to a centimetre."""
        corners = zip(self.corners, other.corners, strict=True)
        same = all(abs(a - b) < SAME_M for a, b in corners)
        return self.crs == other.crs and (self.height, self.width) == (other.height, other.width) and same

    @property
    def text(self) -> str:
        """Describe the georeference for messages."""
        crs = self.crs.to_string() if self.crs else "no coordinate system"
        left, top, _, _ = self.corners
        return f"{crs[:40]}, corner {left:.2f} {top:.2f}, {self.width} x {self.height} pixels of {self.transform.a:g} m"

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of one that is upright."""
        at = self.transform
        return at.c, at.f, at.c + self.width * at.a, at.f + self.height * at.e


@runtime_checkable
class Scene(Protocol):
    """Pixels of some bands over a part of the ground.

    Attributes:
        bands: names, in the network's order.
        place: where it lies.
        notes: what was assumed of it, for who asked for the map.
    """

    @property
    def bands(self) -> tuple[str, ...]: ...
    @property
    def place(self) -> Place: ...
    @property
    def notes(self) -> tuple[str, ...]: ...

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        """Values in the unit of the network's training (reflectance), and where they are of any use."""
        ...


def require_map(raster: Any, pixel_m: float, where: str, hint: str = "") -> None:
    """Check that a raster is a map in metres, with pixels of this side.

    Errors:
        UserError: The file is not such a scene; the message names the command that makes one.
    """
    require_upright_metres(raster, where, pixel_m)
    across, down = raster.transform.a, -raster.transform.e
    if max(abs(across - pixel_m), abs(down - pixel_m)) > 1e-4 * pixel_m:
        raise UserError(
            f"{where}: has pixels of {across:g} x {down:g} m, and the network takes {pixel_m:g} m; resample it first "
            f"(rio warp --res {pixel_m:g}){hint}"
        )
