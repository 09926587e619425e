"""Choose the windows of a scene that become patches, so that each part holds all 17 classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from compactnas.errors import UserError
from compactnas.lcz import SO2SAT_TRAIN
from compactnas.synthetic.plan import CLASSES, PATCH_PX, windows
from compactnas.synthetic.scene import CityScene

PURITY = 0.75
"""Smallest share of a patch that belongs to its class."""
STRIDE_PX = 4
"""Step between the windows that can be drawn; patches overlap, as in So2Sat."""

Side = Literal["all", "west", "east"]


@dataclass(frozen=True)
class Patches:
    """Patches of one city.

    Attributes:
        pixels: Reflectance, (patch, row, column, band).
        classes: LCZ index from 0 to 16, (patch,).
        tfw: World-file numbers A, D, B, E, C, F, (patch, 6); C, F is the centre of the upper left pixel.
    """

    pixels: NDArray[np.float32]
    classes: NDArray[np.int64]
    tfw: NDArray[np.float64]


def cut_patches(scene: CityScene, count: int, side: Side, rng: np.random.Generator) -> Patches:
    """Draw `count` windows of a scene, or of its west or east half, in random order.

    Half of them are spread evenly over the classes, half as in So2Sat. If a class has too few windows, the other
    classes get its share.

    Raises:
        UserError: The scene has fewer windows, or `count` is too small for all classes.
    """
    row, col, label = windows(scene.lcz, PURITY, STRIDE_PX)
    middle = scene.lcz.shape[1] // 2
    inside = {"all": col >= 0, "west": col + PATCH_PX <= middle, "east": col >= middle}[side]
    row, col, label = row[inside], col[inside], label[inside]
    if not CLASSES <= count <= len(row):
        raise UserError(
            f"patches: {count} from one city, but a scene of {scene.lcz.shape[0]} px (part: {side}) allows {CLASSES} "
            f"to {len(row)}; change patches, cities or scene_px"
        )
    quota = _quota(np.bincount(label, minlength=CLASSES), count)
    chosen = np.concatenate([rng.choice(np.flatnonzero(label == c), quota[c], replace=False) for c in range(CLASSES)])
    chosen = rng.permutation(chosen)
    row, col, label = row[chosen], col[chosen], label[chosen]
    view = np.lib.stride_tricks.sliding_window_view(scene.reflectance, (PATCH_PX, PATCH_PX), axis=(1, 2))
    a, b, c, d, e, f = scene.transform
    corner = (c + a * (col + 0.5) + b * (row + 0.5), f + d * (col + 0.5) + e * (row + 0.5))
    steps = np.broadcast_to(np.array((a, d, b, e)), (count, 4))
    return Patches(view[:, row, col].transpose(1, 2, 3, 0), label, np.column_stack((steps, *corner)))


def _quota(available: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Compute the number of patches of each class: `count` in all, at least one each, at most the available ones."""
    counts = np.array(SO2SAT_TRAIN, np.float64)
    weights = 0.5 / CLASSES + 0.5 * counts / counts.sum()
    quota = np.minimum(available, 1)
    while (missing := count - int(quota.sum())) > 0:
        open_ = np.where(quota < available, weights, 0)
        more = np.floor(missing * open_ / open_.sum()).astype(np.int64)
        if not more.any():
            more[np.argsort(-open_, kind="stable")[:missing]] = 1
            more[open_ == 0] = 0
        quota = np.minimum(quota + more, available)
    return quota
