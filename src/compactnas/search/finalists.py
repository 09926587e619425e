"""The networks with the largest sums of effects, as candidates to be measured."""

from __future__ import annotations

import numpy as np

from compactnas.search.effects import Effects
from compactnas.search.genotype_choices import GenotypeChoices
from compactnas.search.trials import Choices, Chooser, Evaluate, Trial, evolution

PREDICTED = 1000
"""Number of networks whose sums are compared, at least; nothing is measured for them."""


def finalists(effects: Effects, genotypes: GenotypeChoices) -> Chooser:
    """Make the candidates of the largest sums; an evolution of sums finds them, best first.

    Args:
        effects: Effects of the choices.
        genotypes: Genotypes of the space.
    """

    def predicted(row: tuple[int, ...]) -> float:
        return effects.sum_of(genotypes.space, genotypes.genotype(row))

    def choose(choices: Choices, evaluate: Evaluate, evaluations: int, rng: np.random.Generator) -> list[Trial]:
        compared = evolution(choices, predicted, max(PREDICTED, evaluations), rng)
        best = sorted(compared, key=lambda trial: trial.value, reverse=True)[:evaluations]
        return [Trial(trial.row, evaluate(trial.row)) for trial in best]

    return choose
