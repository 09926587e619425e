"""Features that neighbouring windows share: a network's feature maps over a strip, and their means over each window.

A level is the part of a network between two halvings of the resolution. Every level runs once on the strip. The
features of a window are the means of each level's last feature map over the window. Some windows begin between two
pixels of a level: every second one does at 10 px and a stride of 4. For them, a pixel on the border is weighted by the
share of it that lies inside the window.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from compactnas.errors import UserError
from compactnas.nn.stages import StagedNetwork, Stages

FRAME = 1
"""Pixels that the inner means leave out on each side of a window; zero padding affects them in a window run alone."""


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
    levels: Stages,
    strip: Float[Tensor, "1 bands height width"],
    rows: Float[Tensor, " rows"],
    columns: Float[Tensor, " columns"],
    window_px: int,
) -> list[Float[Tensor, "rows columns features"]]:
    """Average the positive part of each level's last feature map over each window, with and without its frame.

    Args:
        levels: Stages of the network.
        strip: Raw pixels.
        rows: First row of each row of windows.
        columns: First column of each column of windows.
        window_px: Side of a window in pixels.

    Returns:
        For each level, the means over the whole windows, then those without a frame of `FRAME` pixels of the level. The
        last but one are the input of the network's last layer.
    """
    means = []
    states = levels.enter(strip)
    for number, level in enumerate(levels.stages):
        states = level(states)
        last = number == len(levels.stages) - 1
        y = levels.leave(states[-1].x) if last else states[-1].positive
        stride = 2**number
        for frame in (0, FRAME):
            if frame and window_px // stride <= 2 * frame:
                continue
            down, across = (
                _parts_of(first / stride + frame, window_px / stride - 2 * frame, side)
                for first, side in ((rows, y.shape[2]), (columns, y.shape[3]))
            )
            means.append(_means(y, down, across))
    return means


def _parts_of(first: Float[Tensor, " windows"], side: float, pixels: int) -> Float[Tensor, "windows pixels"]:
    """Share of each window's length that each pixel of an axis covers."""
    place = torch.arange(pixels, dtype=first.dtype)
    inside = torch.minimum(first[:, None] + side, place + 1) - torch.maximum(first[:, None], place)
    return inside.clamp(0, 1) / side


def _means(
    y: Float[Tensor, "1 channels height width"],
    down: Float[Tensor, "rows height"],
    across: Float[Tensor, "columns width"],
) -> Float[Tensor, "rows columns channels"]:
    _, channels, height, width = y.shape
    flat = y[0].permute(1, 2, 0).reshape(height, width * channels)  # no copy if the map is channels_last
    return torch.matmul(across, (down @ flat).view(len(down), width, channels))
