"""Aligned rasters, such as bands of 10 m and 20 m and cloud masks, read as one scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.config.reading import Resampling
from compactnas.errors import UserError
from compactnas.scenes.files import faults_told
from compactnas.scenes.numbers import no_data, scaled
from compactnas.scenes.scene import SAME_M, Pixels, Place, Valid, Window


@dataclass(frozen=True)
class Layer:
    """A raster whose pixels each cover `times` x `times` pixels of the scene.

    Attributes:
        raster: Open raster of rasterio.
        times: Side of a pixel of the raster, in pixels of the scene.
    """

    raster: Any
    times: int

    def read(self, numbers: Sequence[int], window: Window) -> NDArray[Any]:
        """Read bands by number, from 1, over a window of the scene, with repeated pixels: (bands, height, width)."""
        return self.repeated(self.cut(numbers, window), window)

    def cut(self, numbers: Sequence[int], window: Window, margin: int = 0) -> NDArray[Any]:
        """Read the layer's pixels that cover a window of the scene, with a margin that ends at the layer's edges."""
        return self._cut(lambda part: self.raster.read(list(numbers), window=part), window, margin)

    def shown(self, window: Window) -> Valid:
        """Mark the valid pixels of a window by the mask or alpha band inside the file."""
        shown: Valid = self._cut(lambda part: self.raster.dataset_mask(window=part), window, 0) != 0
        return shown

    def repeated(self, values: NDArray[Any], window: Window) -> NDArray[Any]:
        """Resample pixels from `cut` to the pixels of the scene by nearest neighbour: each value is repeated."""
        n = self.times
        if n == 1:
            return values
        top, left = window.row % n, window.column % n
        spread = values.repeat(n, axis=-2).repeat(n, axis=-1)
        return spread[..., top : top + window.height, left : left + window.width]

    def interpolated(self, values: NDArray[np.float32], window: Window) -> NDArray[np.float32]:
        """Resample pixels from `cut` with a margin of 1 to the pixels of the scene: bilinear, constant at the edges."""
        found = values
        for axis, first, count, side in (
            (-2, window.row, window.height, self.raster.height),
            (-1, window.column, window.width, self.raster.width),
        ):
            at = (np.arange(first, first + count) + 0.5) / self.times - 0.5
            below = np.floor(at).astype(np.int64)
            above = (at - below).astype(np.float32)
            start = max(0, first // self.times - 1)
            near, far = (found.take(place.clip(0, side - 1) - start, axis=axis) for place in (below, below + 1))
            weight = above[:, None] if axis == -2 else above
            found = near * (1 - weight) + far * weight
        return found

    def _cut(self, read: Callable[[Any], NDArray[Any]], window: Window, margin: int) -> NDArray[Any]:
        from rasterio.windows import Window as Part

        n, raster = self.times, self.raster
        top, left = (max(0, first // n - margin) for first in (window.row, window.column))
        bottom = min(raster.height, -(-(window.row + window.height) // n) + margin)
        right = min(raster.width, -(-(window.column + window.width) // n) + margin)
        with faults_told(Path(raster.name), raster.driver):
            return read(Part(left, top, right - left, bottom - top))


def laid_on(raster: Any, place: Place, what: str) -> Layer:
    """Make a layer of a scene from a raster.

    Raises:
        UserError: The pixels of the raster are not whole blocks of the scene's pixels, or do not cover the scene.
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
            f"{place.text}); warp it to the grid of the scene (rio warp --like)"
        )
    return Layer(raster, times)


@dataclass(frozen=True)
class Bands:
    """Some bands of a layer, and the scaling of their numbers: value = (number + added) x scale + offset.

    Attributes:
        layer: Layer that holds the bands.
        numbers: Band numbers in the layer, from 1.
        places: Positions of the bands among those of the scene.
        added: Offset added to the numbers of each band.
        scales: Scale of each band.
        offsets: Offset of each band, in the unit of the values.
    """

    layer: Layer
    numbers: tuple[int, ...]
    places: tuple[int, ...]
    added: tuple[float, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]

    def read(self, window: Window, resampling: Resampling) -> tuple[Pixels, Valid]:
        """Read values over a window of the scene, NaN for declared no data, and the pixels where a number is not 0."""
        layer = self.layer
        found = layer.cut(self.numbers, window)
        some = layer.repeated((found != 0).any(axis=0), window)
        if layer.times == 1 or resampling == "nearest":
            return layer.repeated(self._values(found), window), some
        return layer.interpolated(self._values(layer.cut(self.numbers, window, margin=1)), window), some

    def _values(self, found: NDArray[Any]) -> Pixels:
        values = found.astype(np.float32)
        if any(self.added):
            values += np.array(self.added, np.float32)[:, None, None]
        scales, offsets = np.array(self.scales, np.float32), np.array(self.offsets, np.float32)
        if (scales != 1).any() or (offsets != 0).any():
            values = scaled(values, scales, offsets, str(self.layer.raster.name))
        values[no_data(found, [self.layer.raster.nodatavals[number - 1] for number in self.numbers])] = np.nan
        return values


@dataclass(frozen=True)
class Mask:
    """A layer that hides pixels of a scene, such as clouds.

    Attributes:
        layer: Layer with the band of the mask.
        number: Number of the band, from 1.
        classes: Masked classes; if empty, every value except 0.
    """

    layer: Layer
    number: int
    classes: tuple[int, ...]

    def clear(self, window: Window) -> Valid:
        """Mark the pixels that the mask leaves valid."""
        found = self.layer.read((self.number,), window)[0]
        clear: Valid = ~np.isin(found, self.classes) if self.classes else found == 0
        return clear


@dataclass(frozen=True)
class LayeredScene:
    """A `compactnas.scenes.scene.Scene` of aligned rasters.

    A pixel is valid if no mask covers it, every value is finite, no band holds its declared no-data value, and at
    least one band is not 0. For a declared no-data value of 0, see `no_data`.

    Attributes:
        bands: Names of the bands.
        place: Georeference of the scene.
        parts: Bands of layers that make up the scene.
        resampling: Resampling of bands whose pixels are larger than those of the scene.
        masks: Masks that hide pixels.
        notes: Assumptions about the scene.
    """

    bands: tuple[str, ...]
    place: Place
    parts: tuple[Bands, ...]
    resampling: Resampling
    masks: tuple[Mask, ...] = ()
    notes: tuple[str, ...] = ()

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        pixels = np.empty((len(self.bands), window.height, window.width), np.float32)
        valid, some = np.ones(pixels.shape[1:], np.bool_), np.zeros(pixels.shape[1:], np.bool_)
        for part in self.parts:
            pixels[list(part.places)], shown = part.read(window, self.resampling)
            some |= shown
            if _has_mask(part):
                valid &= part.layer.repeated(part.layer.shown(window), window)
        valid &= some & np.isfinite(pixels).all(axis=0)
        for mask in self.masks:
            valid &= mask.clear(window)
        return pixels, valid


def _has_mask(part: Bands) -> bool:
    """Check whether a file has a mask or an alpha band of its own."""
    raster = part.layer.raster
    flags = (flag.name for number in part.numbers for flag in raster.mask_flag_enums[number - 1])
    return raster.nodata is None and "per_dataset" in flags
