"""Read GeoTIFF patches of one size and the same bands, with their footprints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.data.checks import wrong_pixels
from compactnas.data.footprints import Footprints
from compactnas.errors import UserError
from compactnas.scenes.bands import band_names
from compactnas.scenes.coordinates import place_of
from compactnas.scenes.files import opened
from compactnas.scenes.numbers import ASSUMED, reflectance, scaling_of

LARGEST_PX = 1024
"""Maximum side of a patch in pixels; checked before anything is decoded."""


class Tiffs:
    """Reader of GeoTIFF patches; implements `folder.Reader`."""

    def __init__(self, first: Path) -> None:
        with opened(first) as raster:
            if raster.width != raster.height:
                raise UserError(f"{first}: is {raster.width} x {raster.height} pixels; patches must be square")
            if raster.width > LARGEST_PX:
                raise UserError(
                    f"{first}: is too large for a patch (over {LARGEST_PX} px); cut it into patches of one size"
                )
            self.pixels, self.bands = int(raster.width), band_names(raster)
            self.count = int(raster.count)
            self.numbers = _dtype(raster, first)
            self.notes = (ASSUMED,) if scaling_of(raster).assumed else ()
            self.dtype = reflectance(np.zeros((self.count, 1, 1), self.numbers), raster).dtype

    def read(self, file: Path) -> NDArray[Any]:
        """Read the pixels of a file, (band, row, column)."""
        with opened(file) as raster:
            shape, wanted = (raster.count, raster.height, raster.width), (self.count, self.pixels, self.pixels)
            if shape != wanted or _dtype(raster, file) != self.numbers:
                raise UserError(
                    f"{file}: has shape {shape} and dtype {raster.dtypes[0]}, but the first file {wanted} and "
                    f"{self.numbers}; convert it, or leave it out"
                )
            values = reflectance(raster.read(), raster)
        if values.dtype.kind == "f" and (wrong := wrong_pixels(values)):
            raise UserError(f"{file}: holds {wrong}; repair or leave it out")
        return values

    def footprints(self, files: list[Path]) -> Footprints | None:
        """Read the footprints of all files; None if one of them has no coordinates."""
        found = []
        for file in files:
            with opened(file) as raster:
                place = place_of(raster)
            if place is None:
                return None
            found.append(place)
        return Footprints(np.array([epsg for epsg, _ in found]), np.array([bounds for _, bounds in found]))


def _dtype(raster: Any, file: Path) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(raster.dtypes[0])
    if len(set(raster.dtypes)) > 1 or dtype.kind not in "uif":
        raise UserError(
            f"{file}: its bands have dtypes {', '.join(sorted(set(raster.dtypes)))}; convert them to one integer or "
            "float type"
        )
    return dtype
