"""Random search with shared weights (Li and Talwalkar 2019; Guo et al. 2020): uniform paths, random candidates."""

from __future__ import annotations

from dataclasses import dataclass

from compactnas.search.derivation import Derived
from compactnas.search.strategies._uniform_paths import UniformPaths
from compactnas.search.strategy import TrainedSearch
from compactnas.search.trials import random_search


@dataclass(frozen=True)
class Uniform(UniformPaths):
    """Trains the supernet by uniform paths, then takes the best of random candidates."""

    def conclude(self, search: TrainedSearch) -> Derived:
        """Take the best of random candidates."""
        return search.best_candidate(random_search)


STRATEGY = Uniform
