"""Strategies that train the supernet by uniform paths: all networks that a derivation can give are equally likely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from compactnas.nn.supernet import certain_sample
from compactnas.search.architecture import Architecture
from compactnas.search.random_genotype import random_connected
from compactnas.search.sampling import Draw
from compactnas.search.strategy import Strategy


@dataclass(frozen=True)
class UniformPaths(Strategy):
    """Draws genotypes uniformly; alpha does not move. In the end, networks are measured on the trained supernet."""

    learns_alpha: ClassVar[bool] = False
    single_path: ClassVar[bool] = True
    alpha_passes: ClassVar[int] = 0

    @classmethod
    def measured_batches(cls, candidates: int, batches: int) -> int:
        """Each candidate is measured on all whole batches of D_V, or costs as much."""
        return candidates * batches

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        """Draw a genotype uniformly, with its depths; it has no gradient to the architecture."""
        genotype = random_connected(architecture.space, generator, architecture.fixed_depths)
        return Draw(certain_sample(architecture.space, genotype), architecture.probabilities(), None)
