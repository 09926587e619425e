"""The genotypes of a space as rows of choices, for searches over candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from compactnas.cost.constraints import Budget, admits
from compactnas.search.skip_limit import SkipLimit
from compactnas.search.trials import Choices, Row
from compactnas.space.genotype import Genotype
from compactnas.space.operation_specs import NONE
from compactnas.space.search_space import Space


@dataclass(frozen=True)
class GenotypeChoices:
    """The genotypes that a derivation can give.

    A row holds, for each node, the set of edges that it keeps and the operation of each, then the depth of each block,
    then its width.

    Attributes:
        space: Search space.
        depths: Depth of each block if depths are fixed.
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
        """Operations that a kept edge may have."""
        return tuple(name for name in self.space.operations if name != NONE or not self.space.inputs_per_node)

    def choices(self, budgets: Sequence[Budget] = (), used: float = 0.0, limit: SkipLimit | None = None) -> Choices:
        """List the choices; networks without a path from input to output are left out.

        Args:
            budgets: Limits on the cost.
            used: Share of at least one budget that a network must use.
            limit: Limit on skip connections. With a budget or a limit, networks with dead nodes are left out too.
        """
        space = self.space
        nodes = [n for sets in self.kept for n in (len(sets), *[len(self.names)] * len(sets[0]))]
        depths = [] if self.depths else [space.max_depth - space.min_depth + 1] * space.blocks

        def admitted(row: Row) -> bool:
            genotype = self.genotype(row)
            sound = genotype.is_connected and (all(genotype.live_nodes) or not (budgets or limit))
            limited = limit is None or limit.count(genotype) <= limit.most
            return sound and limited and admits(budgets, space, genotype, used)

        widths = [len(space.widths)] * space.blocks if space.widths else []
        return Choices((*nodes, *depths, *widths), admitted, self._canonical)

    def _canonical(self, row: Row) -> Row:
        """Give the layers that the depths leave out their first operation; they are not part of the network."""
        space = self.space
        if space.alpha_per == "block":
            return row
        first = 2 * space.computed  # each row of alpha has one set of sources and one operation
        depths = self.depths or tuple(space.min_depth + place for place in row[first : first + space.blocks])
        live = set(space.layers.live(depths))
        return tuple(0 if place < first and place // 2 not in live else value for place, value in enumerate(row))

    def genotype(self, row: Row) -> Genotype:
        """Build the genotype of a row."""
        left, nodes = list(row), []
        for sets in self.kept:
            sources = sets[left.pop(0)]
            nodes.append(tuple((self.names[left.pop(0)], source) for source in sources))
        space = self.space
        depths = self.depths or tuple(space.min_depth + left.pop(0) for _ in range(space.blocks))
        widths = tuple(row[place] for row, place in zip(space.block_widths, left, strict=True)) if space.widths else ()
        return space.genotype(nodes, depths, widths)
