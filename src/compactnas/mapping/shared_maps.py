"""What neighbouring windows share of a network: its maps over a strip of a scene, and its last layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32
from numpy.typing import NDArray
from torch import nn

from compactnas.mapping.levels import LevelMap, levels_of
from compactnas.nn.stages import Stages

Strip = Float32[np.ndarray, "bands height width"]


@runtime_checkable
class SharedMaps(Protocol):
    """Last map of each level of a network over a strip; each side of the strip is a multiple of `MULTIPLE`."""

    def __call__(self, strip: Strip) -> list[LevelMap]: ...


MULTIPLE = 16
"""Sides of a strip are multiples of this number of pixels, a multiple of every stride."""


@dataclass(frozen=True)
class TorchMaps:
    """Maps from torch: the positive part of the last map of each level; the last one as it enters the mean."""

    levels: Stages

    def __call__(self, strip: Strip) -> list[LevelMap]:
        with torch.inference_mode():
            pixels = torch.from_numpy(strip)[None].contiguous(memory_format=torch.channels_last)
            states, maps = self.levels.enter(pixels), []
            for number, level in enumerate(self.levels.stages):
                states = level(states)
                last = number == len(self.levels.stages) - 1
                y = self.levels.leave(states[-1].x) if last else states[-1].positive
                maps.append(LevelMap(y[0].contiguous().numpy(), 2**number))
        return maps


@dataclass(frozen=True)
class Shared:
    """What neighbouring windows share of a network.

    Attributes:
        maps: Function from a strip to the maps of the levels.
        mean: Mean of each band in the training data, which replaces invalid pixels.
        weight: Weights of the network's last layer.
        bias: Bias of the network's last layer.
    """

    maps: SharedMaps
    mean: Float32[np.ndarray, "bands 1 1"]
    weight: Float32[np.ndarray, "classes features"]
    bias: Float32[np.ndarray, " classes"]

    @classmethod
    def of(cls, network: nn.Module, maps: SharedMaps | None = None) -> Shared:
        """Take the parts from a network; its maps come from torch unless another way is given.

        Raises:
            UserError: The network must run on each window alone.
        """
        levels = levels_of(network)
        mean, weight, bias = (
            part.detach().numpy() for part in (levels.normalise.mean, levels.linear.weight, levels.linear.bias)
        )
        return cls(maps or TorchMaps(levels), mean, weight, bias)

    def own_logits(self, features: Float32[np.ndarray, "*windows features"]) -> Float32[np.ndarray, "*windows classes"]:
        """Logits of the network's own last layer, from the means over the windows in the last map."""
        logits: NDArray[np.float32] = features[..., -self.weight.shape[1] :] @ self.weight.T + self.bias
        return logits
