"""Single Path One-Shot (Guo et al. 2020): uniform paths, candidates bred by evolution."""

from __future__ import annotations

from dataclasses import dataclass

from compactnas.search.derivation import Derived
from compactnas.search.strategies._uniform_paths import UniformPaths
from compactnas.search.strategy import TrainedSearch
from compactnas.search.trials import evolution


@dataclass(frozen=True)
class Evolution(UniformPaths):
    """Trains the supernet by uniform paths, then takes the best candidate of an evolution."""

    def conclude(self, search: TrainedSearch) -> Derived:
        """Take the best candidate of an evolution."""
        return search.best_candidate(evolution)


STRATEGY = Evolution
