"""One path drawn uniformly: random sampling with shared weights (Li and Talwalkar 2019; Guo et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import torch

from compactnas.nn.network import Sample
from compactnas.nn.supernet import certain_sample
from compactnas.search.budget import Budget, admits
from compactnas.search.random_genotype import random_genotype
from compactnas.search.sampling import Architecture, Draw
from compactnas.search.strategies.trials import Choices, Row
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space


@dataclass(frozen=True)
class Uniform:
    """Every network that the space's derivation can give is equally likely, depths as well; alpha does not move."""

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        """Draw a genotype; nothing leads back to the architecture."""
        space = architecture.space
        while not (genotype := random_genotype(space, generator, architecture.fixed_depths)).connected:
            pass
        sample: Sample = certain_sample(space, genotype)
        return Draw(sample, architecture.probabilities(), None)


@dataclass(frozen=True)
class Genotypes:
    """The genotypes that a derivation can give, as a row of choices: for each node the edges that it keeps and the
    operation of each, then the depth of each block, then its width.

    Attributes:
        space: which.
        depths: of each block, where they are not chosen.
    """

    space: Space
    depths: tuple[int, ...] | None

    @cached_property
    def kept(self) -> list[list[tuple[int, ...]]]:
        """For each node, the sets of sources that it may keep."""
        space = self.space
        sources = [[source for n, source in space.edges if n == node] for node in range(space.computed)]
        return [list(combinations(s, min(space.inputs_per_node or len(s), len(s)))) for s in sources]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Operations of an edge that is kept."""
        return tuple(name for name in self.space.operations if name != "none" or not self.space.inputs_per_node)

    def choices(self, budgets: Sequence[Budget] = (), used: float = 0.0) -> Choices:
        """The row; a network whose output hears from no input is none, nor is one with idle nodes under a budget.

        Args:
            budgets: limits of a network.
            used: share of at least one of them that it uses.
        """
        space = self.space
        nodes = [n for sets in self.kept for n in (len(sets), *[len(self.names)] * len(sets[0]))]
        depths = [] if self.depths else [space.max_depth - space.min_depth + 1] * space.blocks

        def candidate(row: Row) -> bool:
            genotype = self.genotype(row)
            sound = genotype.connected and (all(genotype.heard) or not budgets)
            return sound and admits(budgets, space, genotype, used)

        widths = [len(space.widths)] * space.blocks if space.widths else []
        return Choices((*nodes, *depths, *widths), candidate)

    def genotype(self, row: Row) -> Genotype:
        """The genotype of a row."""
        left, nodes = list(row), []
        for sets in self.kept:
            sources = sets[left.pop(0)]
            nodes.append(tuple((self.names[left.pop(0)], source) for source in sources))
        space = self.space
        depths = self.depths or tuple(space.min_depth + left.pop(0) for _ in range(space.blocks))
        widths = tuple(row[place] for row, place in zip(space.block_widths, left, strict=True)) if space.widths else ()
        return Genotype(tuple(nodes), depths, space.channels, space.layout, widths)
