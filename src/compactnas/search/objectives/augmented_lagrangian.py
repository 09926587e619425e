"""An augmented Lagrangian that pulls the expected cost to just below the budgets.

It pulls from both sides: a network gains nothing from being smaller than allowed, and short searches collapse to
operations without weights (docs/log.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from compactnas.cost.constraints import Budget
from compactnas.errors import UserError
from compactnas.search.architecture import Architecture
from compactnas.search.expected_cost import expected_cost
from compactnas.search.objective import CostObjective, ObjectiveContext
from compactnas.search.sampling import Draw

TARGET = 0.975
"""Target of the expected cost as a share of a budget: the middle of the range that counts as used."""


class AugmentedLagrangian(CostObjective):
    """Loss with one multiplier per budget: lambda x excess + stiffness / 2 x excess^2.

    Args:
        budgets: Limits on the cost.
        rate: Change of a multiplier in a step with a relative excess of one.
        stiffness: Weight of half the squared excess.
    """

    needs_budget: ClassVar[bool] = True

    def __init__(self, budgets: Sequence[Budget], rate: float = 0.02, stiffness: float = 0.5) -> None:
        self.budgets, self.rate, self.stiffness = tuple(budgets), rate, stiffness
        self.values = [0.0] * len(self.budgets)

    @classmethod
    def build(cls, context: ObjectiveContext) -> AugmentedLagrangian:
        """Build it for the budgets of a search."""
        if not context.budgets:
            raise UserError(
                "search.objective: augmented_lagrangian needs a budget; give search.max_macs, search.max_parameters "
                "or search.max_latency_ms"
            )
        return cls(context.budgets)

    def loss(self, architecture: Architecture, draw: Draw | None = None) -> Float[Tensor, ""]:
        """Compute the loss, with gradients to alpha, depths and widths."""
        loss = torch.zeros(())
        excesses = [self._excess(budget, architecture) for budget in self.budgets]
        for value, excess, binding in zip(self.values, excesses, _binding(excesses), strict=True):
            if binding:
                loss = loss + value * excess + self.stiffness / 2 * excess**2
        return loss

    @torch.no_grad()
    def update(self, architecture: Architecture, draw: Draw | None = None) -> None:
        """Change the multipliers of binding budgets in proportion to their excess; reset the others to zero."""
        excesses = [self._excess(budget, architecture) for budget in self.budgets]
        for place, (excess, binding) in enumerate(zip(excesses, _binding(excesses), strict=True)):
            self.values[place] = self.values[place] + self.rate * float(excess) if binding else 0.0

    def state(self) -> list[float]:
        """Return the multipliers."""
        return list(self.values)

    def restore(self, values: Sequence[float]) -> None:
        """Load multipliers."""
        self.values = list(values)

    @staticmethod
    def _excess(budget: Budget, architecture: Architecture) -> Float[Tensor, ""]:
        """Compute how far the expected cost is above the target, as a share of the target."""
        return expected_cost(budget.table, architecture) / (TARGET * budget.most) - 1


def _binding(excesses: Sequence[Tensor]) -> list[bool]:
    """Mark the budgets that the cost exceeds, or the nearest one if it exceeds none."""
    over = [float(excess.detach()) for excess in excesses]
    return [value >= min(0.0, max(over)) for value in over]


OBJECTIVE = AugmentedLagrangian
