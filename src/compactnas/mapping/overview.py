"""Show a scene as a small picture at the place of a map: three bands as red, green and blue, read strip by strip."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy.typing import NDArray

from compactnas.config.reading import Reading
from compactnas.data.true_colour import TRUE_COLOUR
from compactnas.errors import UserError
from compactnas.scenes.bands import sentinel_name
from compactnas.scenes.reading import open_scene, with_gaps
from compactnas.scenes.scene import Place, Scene, Window

LONGEST_PX = 1600
"""Largest length of the picture's longer side; the pixels of larger scenes are averaged."""
STRIP_PIXELS, STRIP_ROWS = 2**18, 128
"""Number of pixels of the scene that are read at a time, and smallest number of rows, as in the blocks of a map."""
STRETCH = (2, 98)
"""Percentiles of each band's valid pixels that become black and full colour."""
NOTHING = 200
"""Grey level of pixels without data."""


@dataclass(frozen=True)
class Overview:
    """A picture of a scene, whose upper left corner is that of the map.

    Attributes:
        pixels: Red, green and blue.
        columns: Width of the picture in cells of the map; the last pixels may reach over the edge.
        rows: Height of the picture in cells of the map.
        caption: Name of the scene and the bands shown.
    """

    pixels: UInt8[np.ndarray, "height width 3"]
    columns: float
    rows: float
    caption: str


@dataclass(frozen=True)
class _Part:
    """Means over blocks of pixels: NaN for blocks without data, and whether some pixel of the block is valid."""

    means: Float32[np.ndarray, "bands height width"]
    valid: Bool[np.ndarray, "height width"]


def read_overview(scenes: Sequence[Path], reading: Reading, bands: Sequence[str], place: Place) -> Overview:
    """Read the first of some scenes as a picture.

    Args:
        scenes: Scenes of the map.
        reading: Reading options of the first scene.
        bands: Bands of the network, which the scene has.
        place: Georeference of the map.

    Raises:
        UserError: The scene cannot be read.
    """
    path = scenes[0]
    reading, _ = with_gaps(path, tuple(bands), reading)
    with ExitStack() as files:
        wanted = _true_colour(bands) or TRUE_COLOUR[0]
        try:
            scene = files.enter_context(open_scene(path, wanted, reading))
            shown = f"true colour ({', '.join(wanted)})"
        except UserError:
            wanted = tuple(bands[2::-1]) if len(bands) > 2 else tuple(bands[:1])
            scene = files.enter_context(open_scene(path, wanted, reading))
            shown = f"{', '.join(wanted)} as red, green and blue" if len(wanted) == 3 else f"{wanted[0]} in grey"
        step = round(place.transform.a / scene.place.transform.a)
        times = -(-max(place.height, place.width) * step // LONGEST_PX)
        parts = _read(scene, place, step, times)
    first = f"{path.resolve().name}" + (f", the first of {len(scenes)} scenes" if len(scenes) > 1 else "")
    height, width = parts.valid.shape
    return Overview(
        stretched(parts.means, parts.valid), width * times / step, height * times / step, f"{first}: {shown}"
    )


def _true_colour(bands: Sequence[str]) -> tuple[str, ...]:
    """Names of the red, green and blue band; empty if one is missing."""
    names = {sentinel_name(band): band for band in reversed(bands)}
    colours = next((colours for colours in TRUE_COLOUR if names.keys() >= set(colours)), ())
    return tuple(names[name] for name in colours)


def _read(scene: Scene, place: Place, step: int, times: int) -> _Part:
    """Average blocks of `times` x `times` pixels from the corner of the map on."""
    own = scene.place.transform
    top, left = round((place.transform.f - own.f) / own.e), round((place.transform.c - own.c) / own.a)
    height, width = (-(-side * step // times) for side in (place.height, place.width))
    means = np.full((len(scene.bands), height, width), np.nan, np.float32)
    valid = np.zeros((height, width), np.bool_)
    columns = min(width * times, scene.place.width - left)
    at_once = max(1, max(STRIP_PIXELS // columns, STRIP_ROWS) // times)
    for row in range(0, height, at_once):
        start = top + row * times
        rows = min(at_once * times, (height - row) * times, scene.place.height - start)
        if rows < 1:
            break
        pixels, known = scene.read(Window(start, left, rows, columns))
        some = np.isfinite(pixels).all(axis=0) & (known | (pixels > 0).any(axis=0))
        count = _sums(some.astype(np.float32)[None], times)
        with np.errstate(invalid="ignore"):
            part = _sums(np.where(some, pixels, np.float32(0)), times) / np.where(count > 0, count, np.nan)
        means[:, row : row + part.shape[1], : part.shape[2]] = part
        valid[row : row + part.shape[1], : part.shape[2]] = _sums(known.astype(np.float32)[None], times)[0] > 0
    return _Part(means, valid)


def _sums(values: Float32[np.ndarray, "bands height width"], times: int) -> NDArray[np.float32]:
    """Sum blocks of `times` x `times` pixels; the last ones may be smaller."""
    if times == 1:
        return values
    down, along = (-side % times for side in values.shape[1:])
    padded = np.pad(values, ((0, 0), (0, down), (0, along))) if down or along else values
    bands, height, width = padded.shape
    sums: NDArray[np.float32] = padded.reshape(bands, height // times, times, width // times, times).sum((2, 4))
    return sums


def stretched(
    means: Float32[np.ndarray, "bands height width"], valid: Bool[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width 3"]:
    """Stretch each band between two percentiles of its valid pixels; pixels that are NaN become grey."""
    known = np.isfinite(means[0])
    used = known & valid if (known & valid).any() else known
    colour = np.full((*known.shape, 3), NOTHING, np.uint8)
    if not used.any():
        return colour
    for channel in range(3):
        band = means[channel % len(means)]
        low, high = (float(value) for value in np.percentile(band[used], STRETCH))
        share = (band[known] - low) / max(high - low, 1e-6)
        colour[known, channel] = np.rint(255 * share.clip(0, 1)).astype(np.uint8)
    return colour
