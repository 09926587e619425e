"""Features that neighbouring windows share: a network's maps over a strip, and their means over each window.

A level of a network is what it does between two halvings of the side. Every level runs once on the strip, and a window
is told by the means of each level's last map over its place. Windows that begin between two pixels of a level, as every
second one does at 10 px and a stride of 4, get the mean over the same area: pixels on its edge count by their part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from compactnas.errors import UserError
from compactnas.nn.backbone import Normalise
from compactnas.nn.baselines._resnet import BasicBlock, ResNet
from compactnas.nn.network import Network
from compactnas.nn.state import State
from compactnas.space.search_space import LAYOUTS

Level = Callable[[list[State]], list[State]]

FRAME = 1
"""Pixels that the inner means leave out on each side of a window: those that zeros touch where it is run alone."""


class Levels(NamedTuple):
    """A network cut where its maps get smaller.

    Attributes:
        normalise: the network's own.
        enter: raw pixels to the states of the first level.
        levels: states to states; each but the first begins by halving the side.
        leave: what is done at each pixel of the last map before it is pooled.
        linear: pooled features to logits.
    """

    normalise: Normalise
    enter: Callable[[Tensor], list[State]]
    levels: tuple[Level, ...]
    leave: Callable[[Tensor], Tensor]
    linear: nn.Linear


def levels_of(network: nn.Module) -> Levels:
    """The levels of a searched network or a ResNet in eval mode.

    Errors:
        UserError: another network.
    """
    if isinstance(network, Network):
        return _of_searched(network)
    if isinstance(network, ResNet):
        return _of_resnet(network)
    raise UserError(f"--mode dense: is for searched networks and ResNets, not {type(network).__name__}; use exact")


def _of_searched(network: Network) -> Levels:
    body, sample = network.backbone, network.sample
    if LAYOUTS[network.genotype.layout].stem == "half":
        raise UserError("--mode dense: this network normalises each window by itself (layout lean); use exact")
    norm, relu, _, _, linear = body.head
    assert isinstance(linear, nn.Linear)

    def level(block: int) -> Level:
        return lambda states: body.level(block, states, sample)

    levels = tuple(level(block) for block in range(len(body.blocks)))
    return Levels(body.normalise, body.enter, levels, nn.Sequential(norm, relu), linear)


def _of_resnet(network: ResNet) -> Levels:
    groups: list[list[nn.Module]] = [[]]
    for block in network.blocks:
        assert isinstance(block, BasicBlock)
        if block.first[0].stride == (2, 2):
            groups.append([])
        groups[-1].append(block)

    def level(blocks: list[nn.Module]) -> Level:
        body = nn.Sequential(*blocks)
        return lambda states: [State(body(states[-1].x))]

    def enter(x: Tensor) -> list[State]:
        return [State(F.relu(network.stem(network.normalise(x))))]

    return Levels(network.normalise, enter, tuple(map(level, groups)), nn.Identity(), network.head)


def window_means(
    levels: Levels,
    strip: Float[Tensor, "1 bands height width"],
    rows: Float[Tensor, " rows"],
    columns: Float[Tensor, " columns"],
    window_px: int,
) -> list[Float[Tensor, "rows columns features"]]:
    """Means over each window of the positive part of each level's last map: of all of it, and without its frame.

    Args:
        levels: Levels of the network.
        strip: raw pixels.
        rows: first row of each row of windows.
        columns: first column of each column of windows.
        window_px: side of a window.

    Returns:
        For each level, the means over the whole windows, then those without a frame of `FRAME` pixels of the level. The
        last but one are what the network's last layer takes.
    """
    means = []
    states = levels.enter(strip)
    for number, level in enumerate(levels.levels):
        states = level(states)
        last = number == len(levels.levels) - 1
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
    """Share of each window's length that every pixel of an axis covers."""
    place = torch.arange(pixels, dtype=first.dtype)
    inside = torch.minimum(first[:, None] + side, place + 1) - torch.maximum(first[:, None], place)
    return inside.clamp(0, 1) / side


def _means(
    y: Float[Tensor, "1 channels height width"],
    down: Float[Tensor, "rows height"],
    across: Float[Tensor, "columns width"],
) -> Float[Tensor, "rows columns channels"]:
    _, channels, height, width = y.shape
    flat = y[0].permute(1, 2, 0).reshape(height, width * channels)  # no copy where the map is channels_last
    return torch.matmul(across, (down @ flat).view(len(down), width, channels))
