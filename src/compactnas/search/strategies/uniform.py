"""Random search with shared weights (Li and Talwalkar 2019; Guo et al. 2020): uniform paths, random candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from compactnas.search.architecture import Architecture
from compactnas.search.derivation import Derived
from compactnas.search.sampling import Draw
from compactnas.search.strategies._uniform_path import draw_uniform_path
from compactnas.search.strategy import Strategy, TrainedSearch
from compactnas.search.trials import random_search


@dataclass(frozen=True)
class Uniform(Strategy):
    """Trains the supernet by uniform paths, then takes the best of random candidates. Alpha does not move."""

    learns_alpha: ClassVar[bool] = False
    single_path: ClassVar[bool] = True
    alpha_passes: ClassVar[int] = 0

    @classmethod
    def measured_batches(cls, candidates: int, batches: int) -> int:
        """Each candidate is measured on all of D_V."""
        return candidates * batches

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        """Draw a genotype uniformly."""
        return draw_uniform_path(architecture, generator)

    def conclude(self, search: TrainedSearch) -> Derived:
        """Take the best of random candidates."""
        return search.best_candidate(random_search, search.candidates, lambda fit: fit.accuracy)


STRATEGY = Uniform
