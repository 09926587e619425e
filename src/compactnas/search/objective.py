"""Objectives: losses on the cost of the architecture (setting C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from compactnas.config import SearchConfig
from compactnas.cost.constraints import Budget
from compactnas.cost.table import CostTable
from compactnas.search.architecture import Architecture
from compactnas.search.sampling import Draw
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space


@dataclass(frozen=True)
class ObjectiveContext:
    """Options, space and costs from which an objective is built.

    Attributes:
        config: Options of the search.
        space: Search space.
        macs: MACs of each choice of the space.
        budgets: Limits on the cost of the network.
    """

    config: SearchConfig
    space: Space
    macs: CostTable
    budgets: tuple[Budget, ...] = ()


@runtime_checkable
class CostObjective(Protocol):
    """A loss on the cost of the architecture. To add one, write `search/objectives/NAME.py` with `OBJECTIVE`.

    Attributes:
        needs_budget: Whether the search must have a budget.
        options: Options of `SearchConfig` that only some objectives have, and this one does.
    """

    needs_budget: ClassVar[bool] = False
    options: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def build(cls, context: ObjectiveContext) -> CostObjective:
        """Build the objective of a search."""
        ...

    def loss(self, architecture: Architecture, draw: Draw) -> Float[Tensor, ""]:
        """Compute the loss on the CPU, with gradients to the architecture. Changes nothing."""
        ...

    def update(self, architecture: Architecture, draw: Draw) -> None:
        """Adapt the objective to the architecture of this step; called once per step, before the optimizer moves."""

    def cost_of(self, space: Space, genotype: Genotype) -> float:
        """Compute the amount that a network's cost subtracts from its accuracy when candidates are compared."""
        return 0.0

    def state(self) -> list[float]:
        """Return what `update` has changed, for a checkpoint."""
        return []

    def restore(self, values: Sequence[float]) -> None:
        """Load such a state."""
