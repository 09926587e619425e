"""Rasters that lie on one another: bands of 10 m and 20 m, masks of clouds, read as one scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.data.formats.rasters import faults_told, scaled
from compactnas.errors import UserError
from compactnas.maps.scene import SAME_M, Pixels, Place, Valid, Window

DIGITAL_NUMBERS = 10_000
"""Sentinel-2's numbers for a reflectance of 1."""
RESAMPLING = "nearest"
"""A pixel of 20 m is repeated: what the sensor measured stays, and the exports that people train on have it so."""


@dataclass(frozen=True)
class Layer:
    """A raster whose pixels are each `times` x `times` of the scene's.

    Attributes:
        raster: opened by rasterio.
        times: pixels of the scene along one of its own.
    """

    raster: Any
    times: int

    def read(self, numbers: Sequence[int], window: Window) -> NDArray[Any]:
        """Its bands of these numbers, from 1, over a window of the scene: (bands, height, width)."""
        return self._repeated(lambda part: self.raster.read(list(numbers), window=part), window)

    def shown(self, window: Window) -> Valid:
        """Where a mask or alpha band inside the file does not hide a window of the scene."""
        shown: Valid = self._repeated(lambda part: self.raster.dataset_mask(window=part)[None] != 0, window)[0]
        return shown

    def _repeated(self, read: Callable[[Any], NDArray[Any]], window: Window) -> NDArray[Any]:
        from rasterio.windows import Window as Part

        n, (row, column, height, width) = self.times, window
        top, left = row // n, column // n
        bottom, right = -(-(row + height) // n), -(-(column + width) // n)
        with faults_told(Path(self.raster.name), self.raster.driver):
            values = read(Part(left, top, right - left, bottom - top))
        if n == 1:
            return values
        repeated = values.repeat(n, axis=1).repeat(n, axis=2)
        return repeated[:, row - top * n :, column - left * n :][:, :height, :width]


def laid_on(raster: Any, place: Place, what: str) -> Layer:
    """A raster as a layer of a scene.

    Errors:
        UserError: its pixels are not whole blocks of the scene's, or do not cover it.
    """
    ours, own = place.transform, raster.transform
    times = max(1, round(own.a / ours.a))
    fits = (
        raster.crs == place.crs
        and np.allclose((own.a, own.b, own.d, own.e), (ours.a * times, 0, 0, ours.e * times), rtol=1e-6, atol=1e-9)
        and max(abs(own.c - ours.c), abs(own.f - ours.f)) < SAME_M
        and raster.height == -(-place.height // times)
        and raster.width == -(-place.width // times)
    )
    if not fits:
        raise UserError(
            f"{raster.name}: {what} lies on another grid than the scene ({Place.of(raster).text}; the scene "
            f"{place.text}); warp it to the scene's (rio warp --like)"
        )
    return Layer(raster, times)


@dataclass(frozen=True)
class Bands:
    """Some bands of a layer, and how their numbers become values: (number + added) x scale + offset.

    Attributes:
        layer: that holds them.
        numbers: in the layer, from 1.
        places: among the scene's bands.
        added: to each band's numbers.
        scales: of each band.
        offsets: of each band, in the values' unit.
    """

    layer: Layer
    numbers: tuple[int, ...]
    places: tuple[int, ...]
    added: tuple[float, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]

    def values(self, found: NDArray[Any]) -> Pixels:
        """What numbers of these bands, (bands, height, width), mean."""
        if any(self.added):
            found = found.astype(np.float32) + np.array(self.added, np.float32)[:, None, None]
        scales, offsets = np.array(self.scales, np.float32), np.array(self.offsets, np.float32)
        if (scales == 1).all() and (offsets == 0).all():
            return found.astype(np.float32)
        return scaled(found, scales, offsets, str(self.layer.raster.name))


@dataclass(frozen=True)
class Mask:
    """A layer that says where a scene shows no ground.

    Attributes:
        layer: of one band that counts.
        number: of that band, from 1.
        classes: that are masked; none: whatever is not 0.
    """

    layer: Layer
    number: int
    classes: tuple[int, ...]

    def clear(self, window: Window) -> Valid:
        """Where nothing is masked."""
        found = self.layer.read((self.number,), window)[0]
        clear: Valid = ~np.isin(found, self.classes) if self.classes else found == 0
        return clear


@dataclass(frozen=True)
class LayeredScene:
    """A `compactnas.maps.scene.Scene` of rasters that lie on one another.

    A pixel is of use where no mask lies on it, every value is finite, no band holds its declared no-data value, and
    not all bands are 0. A declared no-data value of 0 counts where all bands are 0: in one band, it may be a dark roof.

    Attributes:
        bands: names.
        place: where it lies.
        parts: that give the bands.
        masks: that hide pixels.
        notes: what was assumed.
    """

    bands: tuple[str, ...]
    place: Place
    parts: tuple[Bands, ...]
    masks: tuple[Mask, ...] = ()
    notes: tuple[str, ...] = ()

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        pixels = np.empty((len(self.bands), window.height, window.width), np.float32)
        valid, some = np.ones(pixels.shape[1:], np.bool_), np.zeros(pixels.shape[1:], np.bool_)
        for part in self.parts:
            found = part.layer.read(part.numbers, window)
            some |= (found != 0).any(axis=0)
            valid &= _declared(part, found, window)
            pixels[list(part.places)] = part.values(found)
        valid &= some & np.isfinite(pixels).all(axis=0)
        for mask in self.masks:
            valid &= mask.clear(window)
        return pixels, valid


def _declared(part: Bands, found: NDArray[Any], window: Window) -> Valid:
    """Where a file does not say itself that it has no data."""
    raster = part.layer.raster
    valid: Valid = np.ones(found.shape[1:], np.bool_)
    for number, band in zip(part.numbers, found, strict=True):
        none = raster.nodatavals[number - 1]
        if none:  # NaN is not finite anyway; 0 is looked at over all bands
            valid &= band != none
    if raster.nodata is None and any("per_dataset" in flags for flags in _flags(raster, part.numbers)):
        valid &= part.layer.shown(window)
    return valid


def _flags(raster: Any, numbers: Sequence[int]) -> list[list[str]]:
    flags = raster.mask_flag_enums
    return [[flag.name for flag in flags[number - 1]] for number in numbers]
