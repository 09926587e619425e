"""Main effects: uniform paths as in `uniform`, then the network whose choices add most to the accuracy of others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from compactnas.search.derivation import Derived
from compactnas.search.effects import Effects
from compactnas.search.strategies._uniform_paths import UniformPaths
from compactnas.search.strategy import TrainedSearch


@dataclass(frozen=True)
class MainEffects(UniformPaths):
    """Trains the supernet by uniform paths, then derives the network with the largest sum of effects.

    Each candidate's work is spent on as many random networks as D_V has batches. Alpha does not move in the search. At
    its end, it becomes the effects, in points of accuracy.
    """

    least_candidates: ClassVar[int] = 2

    def conclude(self, search: TrainedSearch) -> Derived:
        """Estimate the effects, and derive the network with their largest sum."""
        effects = Effects.of(search.architecture.space, search.random_networks())
        effects.write(search.architecture)
        derived = search.derive(effects.operations)
        return replace(derived, metrics={**derived.metrics, **search.figures(derived.genotype)})


STRATEGY = MainEffects
