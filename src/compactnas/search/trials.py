"""Random search and evolution over rows of choices: genotypes of a supernet, or cells of a benchmark table.

A candidate is a row of whole numbers, one for each choice. The caller evaluates each new candidate once, in the order
in which the candidates are made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Row = tuple[int, ...]
Evaluate = Callable[[Row], float]
"""Evaluates a candidate; larger is better."""

TRIES, BRED = 1000, 20
"""Number of draws without a new candidate after which the space counts as used up; the second one is for mutants and
crosses, whose parents may have no new children left."""


@dataclass(frozen=True)
class Choices:
    """A space as a row of independent choices.

    Attributes:
        options: Number of options of each choice.
        admits: Checks whether a row may be a candidate.
        canonical: Makes rows that stand for the same candidate equal.
    """

    options: tuple[int, ...]
    admits: Callable[[Row], bool] = lambda row: True
    canonical: Callable[[Row], Row] = lambda row: row

    def draw(self, rng: np.random.Generator) -> Row:
        """Draw every choice uniformly."""
        return tuple(rng.integers(self.options).tolist())

    def mutate(self, row: Row, probability: float, rng: np.random.Generator) -> Row:
        """Draw each choice again with this probability."""
        changed = rng.random(len(row)) < probability
        return tuple(np.where(changed, rng.integers(self.options), row).tolist())

    def change(self, row: Row, rng: np.random.Generator) -> Row:
        """Change one choice; all choices that have another option are equally likely."""
        open_choices = [place for place, options in enumerate(self.options) if options > 1]
        place = open_choices[int(rng.integers(len(open_choices)))]
        other = (row[place] + 1 + int(rng.integers(self.options[place] - 1))) % self.options[place]
        return (*row[:place], other, *row[place + 1 :])

    def cross(self, row: Row, other: Row, rng: np.random.Generator) -> Row:
        """Take each choice from one of the two rows."""
        return tuple(np.where(rng.random(len(row)) < 0.5, row, other).tolist())


class Trial(NamedTuple):
    """A candidate and its value."""

    row: Row
    value: float


Chooser = Callable[[Choices, Evaluate, int, np.random.Generator], list[Trial]]
"""Makes and evaluates this number of candidates, fewer if the space is used up, and returns them in order."""


def random_search(choices: Choices, evaluate: Evaluate, evaluations: int, rng: np.random.Generator) -> list[Trial]:
    """Evaluate different candidates, drawn uniformly."""
    seen: dict[Row, float] = {}
    while len(seen) < evaluations and (row := _new(choices, seen, lambda: choices.draw(rng))) is not None:
        seen[row] = evaluate(row)
    return [Trial(*item) for item in seen.items()]


POPULATION, PARENTS, MUTATION = 50, 10, 0.1
"""Single Path One-Shot: candidates per generation, parents of the next generation, probability of a mutation."""


def evolution(choices: Choices, evaluate: Evaluate, evaluations: int, rng: np.random.Generator) -> list[Trial]:
    """Evolve candidates as in Single Path One-Shot (Guo et al. 2020, section 3.4 and its published code).

    The first generation is random. Half of each later generation are mutants of the ten best candidates so far, half
    are crosses of two of them. No candidate is made twice; if no new one is found, a random one takes its place.
    """
    seen: dict[Row, float] = {}
    while len(seen) < evaluations:
        best = sorted(seen, key=lambda row: seen[row], reverse=True)[:PARENTS]

        def parent(best: list[Row] = best) -> Row:
            return best[int(rng.integers(len(best)))]

        def mutant() -> Row:
            return choices.mutate(parent(), MUTATION, rng)

        def child() -> Row:
            return choices.cross(parent(), parent(), rng)

        def stranger() -> Row:
            return choices.draw(rng)

        half = POPULATION // 2
        for make in [mutant] * half + [child] * half if best else [stranger] * POPULATION:
            row = _new(choices, seen, make, BRED) or _new(choices, seen, stranger)
            if row is None:
                return [Trial(*item) for item in seen.items()]
            seen[row] = evaluate(row)
            if len(seen) == evaluations:
                break
    return [Trial(*item) for item in seen.items()]


AGEING_POPULATION, TOURNAMENT = 50, 10
"""Size of the population, and number of candidates that are drawn from it to find a parent."""


def regularized_evolution(
    choices: Choices, evaluate: Evaluate, evaluations: int, rng: np.random.Generator
) -> list[Trial]:
    """Evolve candidates by regularized evolution (Real et al. 2019, algorithm 1).

    The best of a few candidates is changed in one choice, and the oldest one is removed. A candidate may come again.
    """
    alive: deque[Trial] = deque(maxlen=AGEING_POPULATION)
    trials: list[Trial] = []
    while len(trials) < evaluations:
        if len(alive) < AGEING_POPULATION:
            row = _new(choices, {}, lambda: choices.draw(rng))
        else:
            drawn = rng.integers(len(alive), size=TOURNAMENT)
            best = max((alive[place] for place in drawn), key=lambda trial: trial.value).row
            row = _new(choices, {}, lambda best=best: choices.change(best, rng))  # type: ignore[misc]  # mypy sees no argument
        if row is None:
            break
        trials.append(Trial(row, evaluate(row)))
        alive.append(trials[-1])
    return trials


def _new(choices: Choices, seen: dict[Row, float], make: Callable[[], Row], tries: int = 0) -> Row | None:
    """Make an admitted candidate that was not seen yet; None if ``tries``, by default `TRIES`, are not enough."""
    for _ in range(tries or TRIES):
        row = choices.canonical(make())
        if row not in seen and choices.admits(row):
            return row
    return None
