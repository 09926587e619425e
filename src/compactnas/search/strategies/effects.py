"""Main effects: uniform paths as in `uniform`, then the best of the networks whose choices add most to others."""

from __future__ import annotations

from dataclasses import dataclass, replace

from compactnas.search.derivation import Derived
from compactnas.search.effects import Effects
from compactnas.search.finalists import finalists
from compactnas.search.genotype_choices import GenotypeChoices
from compactnas.search.strategies._uniform_paths import UniformPaths
from compactnas.search.strategy import TrainedSearch


@dataclass(frozen=True)
class MainEffects(UniformPaths):
    """Trains the supernet by uniform paths, then takes the best of the networks with the largest sums of effects.

    Half of the measurements are spent on the effects, and half on these networks. Alpha does not move in the search.
    At its end, it becomes the effects, in points of accuracy.
    """

    @classmethod
    def measured_batches(cls, candidates: int, batches: int) -> int:
        """Each candidate costs as much as one that is measured on all of D_V."""
        return sum(_halves(candidates)) * batches

    def conclude(self, search: TrainedSearch) -> Derived:
        """Estimate the effects, and take the best of the networks with the largest sums."""
        architecture = search.architecture
        passes, count = _halves(search.candidates)
        effects = Effects.of(architecture.space, search.random_networks(passes))
        effects.write(architecture)
        genotypes = GenotypeChoices(architecture.space, architecture.fixed_depths)
        derived = search.best_candidate(finalists(effects, genotypes), count, lambda fit: -fit.loss)
        rows = [[round(float(value), 4) for value in row] for row in effects.operations]
        return replace(derived, metrics={**derived.metrics, "effects": rows})


def _halves(candidates: int) -> tuple[int, int]:
    """Divide the candidates: passes over D_V for the effects, and networks to measure in the end."""
    last = max(1, candidates // 2)
    return max(1, candidates - last), last


STRATEGY = MainEffects
