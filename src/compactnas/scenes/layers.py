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
from compactnas.scenes.gaps import SQUARE, find_gaps
from compactnas.scenes.numbers import scaled
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

    def inside(self, window: Window, margin: int, wide: int) -> tuple[slice, slice, slice]:
        """Slices that find the cut of a window with a margin inside a cut with a wider one."""
        ((top, left), (bottom, right)), (corner, _) = self._corners(window, margin), self._corners(window, wide)
        rows, columns = slice(top - corner[0], bottom - corner[0]), slice(left - corner[1], right - corner[1])
        return slice(None), rows, columns

    def _corners(self, window: Window, margin: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Top and left, bottom and right of a cut."""
        n, raster = self.times, self.raster
        top, left = (max(0, first // n - margin) for first in (window.row, window.column))
        bottom = min(raster.height, -(-(window.row + window.height) // n) + margin)
        right = min(raster.width, -(-(window.column + window.width) // n) + margin)
        return (top, left), (bottom, right)

    def _cut(self, read: Callable[[Any], NDArray[Any]], window: Window, margin: int) -> NDArray[Any]:
        from rasterio.windows import Window as Part

        (top, left), (bottom, right) = self._corners(window, margin)
        raster = self.raster
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
        fills: Numbers that stand for no data, besides those that the file declares.
    """

    layer: Layer
    numbers: tuple[int, ...]
    places: tuple[int, ...]
    added: tuple[float, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    fills: tuple[float, ...] = ()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the numbers."""
        return np.result_type(*(np.dtype(self.layer.raster.dtypes[number - 1]) for number in self.numbers))

    @property
    def declared(self) -> tuple[float | None, ...]:
        """No-data value that the file declares for each band."""
        return tuple(self.layer.raster.nodatavals[number - 1] for number in self.numbers)

    @property
    def unscaled(self) -> bool:
        """Check that the values are the numbers of the file."""
        return not any(self.added) and set(self.scales) == {1.0} and not any(self.offsets)

    @property
    def complete(self) -> bool:
        """Check that every number of the file is a measurement."""
        return self.dtype.kind != "f" and not self.fills and set(self.declared) == {None} and not _has_mask(self)

    def values(self, window: Window, resampling: Resampling) -> NDArray[Any]:
        """Read values over a window of the scene; numbers that need no scaling keep their dtype."""
        if self.layer.times == 1 or resampling == "nearest":
            return self.layer.repeated(self._scaled(self.layer.cut(self.numbers, window)), window)
        found = self._scaled(self.layer.cut(self.numbers, window, margin=1))
        return self.layer.interpolated(found.astype(np.float32), window)

    def read(self, window: Window, resampling: Resampling) -> tuple[Pixels, dict[float, Valid]]:
        """Read values over a window of the scene, NaN for gaps, and the pixels where all bands hold a fill."""
        layer, near = self.layer, int(self.layer.times > 1 and resampling == "bilinear")
        wide = near + SQUARE if set(self.declared) != {None} or self.fills else near
        found = layer.cut(self.numbers, window, margin=wide)
        inner = layer.inside(window, near, wide)
        values = self._scaled(found[inner]).astype(np.float32)
        blank: dict[float, Valid] = {}
        if wide > near:
            gaps = find_gaps(found, self.declared, self.fills)
            values[gaps.marked[inner]] = np.nan
            sharp = layer.inside(window, 0, wide)[1:]
            blank = {fill: layer.repeated(mask[sharp], window) for fill, mask in gaps.blank.items()}
        return layer.interpolated(values, window) if near else layer.repeated(values, window), blank

    def _scaled(self, found: NDArray[Any]) -> NDArray[Any]:
        """Convert numbers to values, in float32 if they need it."""
        if self.unscaled:
            return found
        values = found
        if any(self.added):
            values = found.astype(np.float32) + np.array(self.added, np.float32)[:, None, None]
        scales, offsets = np.array(self.scales, np.float32), np.array(self.offsets, np.float32)
        if (scales == 1).all() and (offsets == 0).all():
            return values
        return scaled(values, scales, offsets, str(self.layer.raster.name))


@dataclass(frozen=True)
class Mask:
    """A layer that hides pixels of a scene, such as clouds.

    Attributes:
        layer: Layer with the band of the mask.
        number: Number of the band, from 1.
        classes: Masked classes; if empty, every value except 0.
        bits: If not 0, pixels that have one of these bits are masked, whatever their class.
    """

    layer: Layer
    number: int
    classes: tuple[int, ...]
    bits: int = 0

    def clear(self, window: Window) -> Valid:
        """Mark the pixels that the mask leaves valid."""
        found = self.layer.read((self.number,), window)[0]
        if self.bits:
            return np.asarray(found.astype(np.int64) & self.bits == 0, np.bool_)
        clear: Valid = ~np.isin(found, self.classes) if self.classes else found == 0
        return clear


@dataclass(frozen=True)
class LayeredScene:
    """A `compactnas.scenes.scene.Scene` of aligned rasters.

    A pixel is valid if no mask covers it, every value is finite, and no band holds a number that stands for no data
    (`gaps.py`).

    Attributes:
        bands: Names of the bands.
        place: Georeference of the scene.
        parts: Bands of layers that make up the scene.
        resampling: Resampling of bands whose pixels are larger than those of the scene.
        masks: Masks that hide pixels.
        notes: Assumptions about the scene.
        assumed: Whether its scale was assumed (`numbers.ASSUMED`).
    """

    bands: tuple[str, ...]
    place: Place
    parts: tuple[Bands, ...]
    resampling: Resampling
    masks: tuple[Mask, ...] = ()
    notes: tuple[str, ...] = ()
    assumed: bool = False

    @property
    def complete(self) -> bool:
        """Check that all pixels are valid, by the types and declarations of the files alone."""
        return not self.masks and all(part.complete for part in self.parts)

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        pixels = np.empty((len(self.bands), window.height, window.width), np.float32)
        valid, blanks = np.ones(pixels.shape[1:], np.bool_), list[dict[float, Valid]]()
        for part in self.parts:
            pixels[list(part.places)], blank = part.read(window, self.resampling)
            blanks.append(blank)
            if _has_mask(part):
                valid &= part.layer.repeated(part.layer.shown(window), window)
        for fill in set(blanks[0]).intersection(*blanks[1:]):
            valid &= ~np.logical_and.reduce([blank[fill] for blank in blanks])
        valid &= np.isfinite(pixels).all(axis=0)
        for mask in self.masks:
            valid &= mask.clear(window)
        return pixels, valid

    def values(self, window: Window) -> NDArray[Any]:
        """Read values as in the training data, (bands, height, width); numbers that need no scaling keep their dtype.

        Gaps have no meaning.
        """
        found = [part.values(window, self.resampling) for part in self.parts]
        values = np.empty((len(self.bands), window.height, window.width), np.result_type(*found))
        for part, own in zip(self.parts, found, strict=True):
            values[list(part.places)] = own
        return values


def _has_mask(part: Bands) -> bool:
    """Check whether a file has a mask or an alpha band of its own."""
    raster = part.layer.raster
    flags = (flag.name for number in part.numbers for flag in raster.mask_flag_enums[number - 1])
    return "per_dataset" in flags
