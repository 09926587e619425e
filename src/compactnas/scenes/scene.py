"""Georeferenced scenes, read window by window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32

from compactnas.config.reading import Reading
from compactnas.errors import UserError
from compactnas.scenes.coordinates import require_upright_metres

SAME_M = 0.01
"""Distance below which two corners count as the same: a centimetre."""

Pixels = Float32[np.ndarray, "bands height width"]
Valid = Bool[np.ndarray, "height width"]


class Window(NamedTuple):
    """A rectangle of a scene, in pixels."""

    row: int
    column: int
    height: int
    width: int


@dataclass(frozen=True)
class Place:
    """Georeference of a raster.

    Attributes:
        crs: Coordinate system, an object of rasterio.
        transform: Affine transform from column and row to x and y of a pixel's upper left corner.
        height: Number of rows.
        width: Number of columns.
        name: Path of the raster or scene, for messages.
    """

    crs: Any
    transform: Any
    height: int
    width: int
    name: str = ""

    @classmethod
    def of(cls, raster: Any) -> Place:
        """Georeference of an open raster of rasterio."""
        return cls(raster.crs, raster.transform, raster.height, raster.width, str(raster.name))

    def same_grid(self, other: Place) -> bool:
        """Check whether the pixels of both cover the same squares of ground, to a centimetre."""
        corners = zip(self.corners, other.corners, strict=True)
        same = all(abs(a - b) < SAME_M for a, b in corners)
        return self.crs == other.crs and (self.height, self.width) == (other.height, other.width) and same

    @property
    def text(self) -> str:
        """Description of the georeference for messages."""
        crs = self.crs.to_string() if self.crs else "no coordinate system"
        left, top, _, _ = self.corners
        return f"{crs[:40]}, corner {left:.2f} {top:.2f}, {self.width} x {self.height} pixels of {self.transform.a:g} m"

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top of an upright raster."""
        left, top, right, bottom = self.corners
        return left, bottom, right, top

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of an upright raster."""
        at = self.transform
        return at.c, at.f, at.c + self.width * at.a, at.f + self.height * at.e


@runtime_checkable
class Scene(Protocol):
    """A georeferenced scene with the bands of a network.

    Attributes:
        bands: Names of the bands, in the network's order.
        place: Georeference of the scene.
        notes: Assumptions about the scene, shown to the user.
    """

    @property
    def bands(self) -> tuple[str, ...]: ...
    @property
    def place(self) -> Place: ...
    @property
    def notes(self) -> tuple[str, ...]: ...

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        """Read values in the unit of the training data (reflectance), and the mask of valid pixels."""
        ...


def require_map(raster: Any, reading: Reading, where: str) -> None:
    """Check that a raster is upright, in metres, and has pixels of this side.

    Raises:
        UserError: The raster is not such a scene; the message names the command that makes one.
    """
    any_size = reading.caller == "data" and not reading.pixel_m  # training takes the pixels as they are
    pixel_m = reading.side_m
    require_upright_metres(raster, where, None if any_size else pixel_m)
    across, down = raster.transform.a, -raster.transform.e
    if not any_size and max(abs(across - pixel_m), abs(down - pixel_m)) > 1e-4 * pixel_m:
        hint = "" if reading.pixel_m else ", or say with --pixel-m what the network was trained on"
        raise UserError(
            f"{where}: has pixels of {across:g} x {down:g} m, and the network takes {pixel_m:g} m; resample it first "
            f"(rio warp --res {pixel_m:g}){hint}"
        )
