"""What a training can do beside the paper's: other light, soft and mixed targets, a teacher, averaged weights.

Sources: label smoothing, Szegedy et al. 2016; mixup, Zhang et al. 2018; CutMix, Yun et al. 2019; distillation, Hinton
et al. 2015; exponential averages of weights, as `torch.optim.swa_utils` has them. All of it changes what a step is
given or what is kept of it; the loss stays the cross-entropy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from compactnas.config import TrainConfig
from compactnas.data.batches import drawing

Patches = Float[Tensor, "batch bands height width"]
Targets = Float[Tensor, "batch classes"]

STREAM_MIX, STREAM_LIGHT = 5, 6


def targets_of(
    labels: Int64[Tensor, " batch"], classes: int, smoothing: float, taught: Targets | None, weight: float
) -> Targets:
    """What a patch's answer should be: its class, smoothed, with a teacher's answer for a part of it.

    Args:
        labels: classes.
        classes: how many there are.
        smoothing: probability that is spread over all classes.
        taught: the teacher's probabilities, if there is a teacher.
        weight: of the teacher's.
    """
    hard = F.one_hot(labels, classes).float() * (1 - smoothing) + smoothing / classes
    return hard if taught is None else torch.lerp(hard, taught, weight)


def soft_loss_and_accuracy(
    logits: Targets, targets: Targets, labels: Int64[Tensor, " batch"], rows: int
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Cross-entropy with soft targets and accuracy, this part's sums over a batch of so many rows."""
    hits = (logits.detach().argmax(dim=-1) == labels).float().sum() / rows
    return -(targets * logits.log_softmax(dim=-1)).sum() / rows, hits


def relit(
    x: Patches, jitter: float, std: Float[Tensor, "bands 1 1"], seed: Sequence[int], rows: int, share: slice
) -> Patches:
    """Each patch as it could look in another light: times a factor of its own, with an offset (haze) of each band.

    A function of the seed: nothing is kept between steps.

    Args:
        x: raw values.
        jitter: standard deviation of the factor's logarithm, and of the offsets in units of `std`.
        std: standard deviation of each band.
        seed: of the run, then where it stands.
        rows: patches of the whole batch, for all of which it is drawn.
        share: which of them these are.
    """
    rng = drawing(seed[0], STREAM_LIGHT, *seed[1:])
    drawn = jitter * rng.standard_normal((rows, 1 + x.shape[1], 1, 1), np.float32)[share]
    light = torch.from_numpy(drawn).to(x.device)
    other: Tensor = x * light[:, :1].exp() + light[:, 1:] * std
    return other


def mixed(x: Patches, targets: Targets, config: TrainConfig, seed: Sequence[int]) -> tuple[Patches, Targets]:
    """Each patch of a batch with another one of it: their sum (mixup), or a box of the other (CutMix).

    Where both are on, a coin decides for a batch. A function of the seed: nothing is kept between steps.
    """
    rng = drawing(seed[0], STREAM_MIX, *seed[1:])
    cut = bool(config.cutmix) and (not config.mixup or bool(rng.integers(2)))
    parameter = config.cutmix if cut else config.mixup
    share = float(rng.beta(parameter, parameter))
    other = torch.from_numpy(rng.permutation(len(x))).to(x.device)
    if cut:
        height, width = x.shape[2:]
        side = np.sqrt(1 - share)
        row, column = rng.integers(height), rng.integers(width)
        top, bottom = (int(np.clip(row + sign * side * height / 2, 0, height)) for sign in (-1, 1))
        left, right = (int(np.clip(column + sign * side * width / 2, 0, width)) for sign in (-1, 1))
        x = x.clone()
        x[:, :, top:bottom, left:right] = x[other, :, top:bottom, left:right]
        share = 1 - (bottom - top) * (right - left) / (height * width)
    else:
        x = torch.lerp(x[other], x, share)
    return x, torch.lerp(targets[other], targets, share)


class Averaged:
    """An exponential average of a network's weights and running statistics, made after each step.

    It begins as a plain mean, so that the first weights do not stay in it: step n counts 1 / min(n, 1 / (1 - decay)).

    Args:
        network: that is trained.
        decay: of the average.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        def average(kept: Sequence[Tensor], now: Sequence[Tensor], number: Tensor | int) -> None:
            share = max(1 - decay, 1 / (int(number) + 1))
            for before, after in zip(kept, now, strict=True):
                before.lerp_(after, share) if before.is_floating_point() else before.copy_(after)

        self._model = AveragedModel(network, multi_avg_fn=average, use_buffers=True)

    @property
    def network(self) -> nn.Module:
        """The network with averaged weights."""
        module: nn.Module = self._model.module
        return module

    def update(self, network: nn.Module) -> None:
        """Take up the weights after a step."""
        self._model.update_parameters(network)

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        return dict(self._model.state_dict())

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up such a state."""
        self._model.load_state_dict(state)
