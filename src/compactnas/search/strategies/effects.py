"""Main effects: uniform paths as in `uniform`, then the network whose choices add most to the accuracy of others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from compactnas.search.architecture import Architecture
from compactnas.search.derivation import Derived
from compactnas.search.effects import Effects
from compactnas.search.sampling import Draw
from compactnas.search.strategies._uniform_path import draw_uniform_path
from compactnas.search.strategy import Strategy, TrainedSearch


@dataclass(frozen=True)
class MainEffects(Strategy):
    """Trains the supernet by uniform paths, then derives the network with the largest sum of effects.

    Alpha does not move in the search. At its end, it becomes the effects, in points of accuracy.
    """

    learns_alpha: ClassVar[bool] = False
    single_path: ClassVar[bool] = True
    alpha_passes: ClassVar[int] = 0

    @classmethod
    def measured_batches(cls, candidates: int, batches: int) -> int:
        """Each candidate is measured on one batch."""
        return candidates

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        """Draw a genotype uniformly."""
        return draw_uniform_path(architecture, generator)

    def conclude(self, search: TrainedSearch) -> Derived:
        """Estimate the effects, and derive the network with their largest sum."""
        effects = Effects.of(search.architecture.space, search.random_networks())
        effects.write(search.architecture)
        derived = search.derive(effects.operations)
        rows = [[round(float(value), 4) for value in row] for row in effects.operations]
        return replace(derived, metrics={**derived.metrics, **search.figures(derived.genotype), "effects": rows})


STRATEGY = MainEffects
