"""A limit on the skip connections of a cell, against the collapse of a search to them (P-DARTS, DARTS+)."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from compactnas.config import SearchConfig
from compactnas.space.genotype import Genotype


class SkipLimit(NamedTuple):
    """Limit on the number of edges of a cell that have certain operations.

    Attributes:
        operations: Names of these operations, such as `skip_connect`.
        most: Largest number of edges.
    """

    operations: Collection[str]
    most: int

    @classmethod
    def of(cls, config: SearchConfig) -> SkipLimit | None:
        """Make the limit that the networks of a search must keep to; None if the config only counts."""
        if config.skip_limit == "log":
            return None
        return cls(config.skip_limit_operations, config.skip_limit_edges)

    def count(self, genotype: Genotype) -> int:
        """Count the edges of a cell that have one of the operations."""
        return sum(name in self.operations for edges in genotype.nodes for name, _ in edges)

    def describe(self) -> str:
        """Describe the limit in a message."""
        return f"{self.most} edges of {', '.join(self.operations)}"
