"""Features that neighbouring windows share: means of a network's maps over each window.

A level is the part of a network between two halvings of the resolution. The features of a window are the means of each
level's last map over the window, over the window without its outermost pixels, and over the window with some pixels
around it. Some windows begin between two pixels of a level: every second one does at 10 px and a stride of 4. For them,
a pixel on the border is weighted by the share of it that lies inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64
from numpy.typing import NDArray
from torch import nn

from compactnas.errors import UserError
from compactnas.nn.stages import StagedNetwork, Stages

FRAMES = (1, -2, 0)
"""Pixels of a level that the means leave out on each side of a window; negative for pixels around it.

Zero padding affects the outermost pixels of a window that runs alone; the pixels around it show what it replaces."""


class LevelMap(NamedTuple):
    """Last map of a level over a strip.

    Attributes:
        values: Values of the map.
        stride: Side of one of its pixels, in pixels of the strip.
    """

    values: Float32[np.ndarray, "channels height width"]
    stride: int


def levels_of(network: nn.Module) -> Stages:
    """Split a network in eval mode into levels that neighbouring windows can share.

    Raises:
        UserError: The network must run on each window alone.
    """
    if not isinstance(network, StagedNetwork):
        raise UserError(f"--mode dense: {type(network).__name__} has no stages to share; use --mode exact")
    stages = network.stages()
    if stages.alone:
        raise UserError(f"--mode dense: {stages.alone}; use --mode exact")
    return stages


def window_means(
    maps: Sequence[LevelMap],
    rows: Float64[np.ndarray, " rows"],
    columns: Float64[np.ndarray, " columns"],
    window_px: int,
) -> Float32[np.ndarray, "rows columns features"]:
    """Average the maps over each window, with the frames of `FRAMES`.

    Args:
        maps: Last map of each level.
        rows: First row of each row of windows, in pixels of the strip.
        columns: First column of each column of windows.
        window_px: Side of a window in pixels.

    Returns:
        For each level, one mean of each channel for each frame. The last ones, over the windows themselves, are the
        input of the network's last layer. Frames that leave nothing of a window are left out.
    """
    means = []
    for values, stride in maps:
        side = window_px / stride
        frames = [frame for frame in FRAMES if side > 2 * frame]
        down = _means(values, 1, [rows / stride + frame for frame in frames], [side - 2 * frame for frame in frames])
        for part, frame in zip(down, frames, strict=True):
            (across,) = _means(part, 2, [columns / stride + frame], [side - 2 * frame])
            means.append(across.transpose(1, 2, 0))
    return np.concatenate(means, axis=-1)


def _means(
    values: Float32[np.ndarray, "channels height width"],
    axis: int,
    firsts: Sequence[NDArray[np.float64]],
    sides: Sequence[float],
) -> list[NDArray[np.float32]]:
    """Means along an axis over intervals that may begin and end between two pixels, from sums up to each pixel."""
    sums = _sums_of_rows(values) if axis == 1 else np.cumsum(np.pad(values, ((0, 0), (0, 0), (1, 0))), axis=2)
    return [
        (_until(sums, axis, first + side) - _until(sums, axis, first)) / np.float32(side)
        for first, side in zip(firsts, sides, strict=True)
    ]


def _sums_of_rows(values: Float32[np.ndarray, "channels height width"]) -> NDArray[np.float32]:
    """Sums of the rows before each row; row by row, which is twice as fast as `np.cumsum` along this axis."""
    channels, height, width = values.shape
    sums = np.empty((channels, height + 1, width), np.float32)
    sums[:, 0] = 0
    for row in range(height):
        np.add(sums[:, row], values[:, row], out=sums[:, row + 1])
    return sums


def _until(sums: NDArray[np.float32], axis: int, places: NDArray[np.float64]) -> NDArray[np.float32]:
    """Sums up to some places, with the share of a pixel that a place cuts."""
    whole = np.floor(places).astype(np.int64)
    found: NDArray[np.float32] = sums.take(whole, axis)
    share = (places - whole).astype(np.float32)
    if share.any():
        share = share.reshape([-1 if at == axis else 1 for at in range(sums.ndim)])
        found += share * (sums.take(np.minimum(whole + 1, sums.shape[axis] - 1), axis) - found)
    return found
