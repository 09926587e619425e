"""Normalisation of raw patches, the first layer of every network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

Patches = Float[Tensor, "batch bands height width"]


class Normalise(nn.Module):
    """Standardise each band with mean and deviation of the training part, which are saved with the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(bands, 1, 1))
        self.register_buffer("std", torch.ones(bands, 1, 1))

    def set(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Set the mean and deviation of each band."""
        self.mean.copy_(torch.tensor(mean).view(-1, 1, 1))
        self.std.copy_(torch.tensor(std).view(-1, 1, 1))

    def forward(self, x: Patches) -> Patches:
        return (x - self.mean) / self.std
