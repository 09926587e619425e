"""Augment the patches of a batch: radiometric jitter, mixup and CutMix.

Each function is determined by its seed: nothing is kept between steps, so a resumed training draws the same.

Sources: mixup, Zhang et al. 2018; CutMix, Yun et al. 2019.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from compactnas.data.batches import drawing
from compactnas.data.streams import Stream

Patches = Float[Tensor, "batch bands height width"]
Targets = Float[Tensor, "batch classes"]


def jitter_radiometry(
    x: Patches, jitter: float, std: Float[Tensor, "bands 1 1"], seed: Sequence[int], rows: int, share: slice
) -> Patches:
    """Multiply each patch by a random factor (illumination), and add a random offset to each of its bands (haze).

    Args:
        x: Raw values of this process's patches.
        jitter: Standard deviation of the factor's logarithm, and of the offsets in units of `std`.
        std: Standard deviation of each band.
        seed: Seed of the run, then the epoch and step.
        rows: Number of patches in the whole batch. Factors and offsets are drawn for all of them.
        share: Positions of this process's patches in the batch.
    """
    rng = drawing(seed[0], Stream.JITTER, *seed[1:])
    drawn = jitter * rng.standard_normal((rows, 1 + x.shape[1], 1, 1), np.float32)[share]
    light = torch.from_numpy(drawn).to(x.device)
    jittered: Tensor = x * light[:, :1].exp() + light[:, 1:] * std
    return jittered


def mix_patches(
    x: Patches, targets: Targets, seed: Sequence[int], *, mixup: float, cutmix: float
) -> tuple[Patches, Targets]:
    """Mix each patch and its target with another of the batch: a weighted sum (mixup), or a pasted box (CutMix).

    If both are on, a coin decides which one a batch gets.

    Args:
        x: Patches.
        targets: Probabilities of each class.
        seed: Seed of the run, then the epoch and step.
        mixup: Parameter of mixup's beta distribution; 0 turns it off.
        cutmix: Parameter of CutMix's beta distribution; 0 turns it off.
    """
    rng = drawing(seed[0], Stream.MIX, *seed[1:])
    cut = bool(cutmix) and (not mixup or bool(rng.integers(2)))
    parameter = cutmix if cut else mixup
    weight = float(rng.beta(parameter, parameter))
    other = torch.from_numpy(rng.permutation(len(x))).to(x.device)
    if cut:
        height, width = x.shape[2:]
        side = np.sqrt(1 - weight)
        row, column = rng.integers(height), rng.integers(width)
        top, bottom = (int(np.clip(row + sign * side * height / 2, 0, height)) for sign in (-1, 1))
        left, right = (int(np.clip(column + sign * side * width / 2, 0, width)) for sign in (-1, 1))
        x = x.clone()
        x[:, :, top:bottom, left:right] = x[other, :, top:bottom, left:right]
        weight = 1 - (bottom - top) * (right - left) / (height * width)
    else:
        x = torch.lerp(x[other], x, weight)
    return x, torch.lerp(targets[other], targets, weight)
