"""Objectives on the cost of a network, one file each.

To add one, write a module that holds a `compactnas.search.objective.CostObjective` in the constant `OBJECTIVE`, and
name it with `search.objective`. `tests/search/test_objective_conformance.py` runs over all of them.
"""

from __future__ import annotations

from typing import cast

from compactnas import config
from compactnas.registry import Registry
from compactnas.search.objective import CostObjective, ObjectiveContext

OBJECTIVES = cast(Registry[type[CostObjective]], config.OBJECTIVES)
"""Objectives by the name that `search.objective` takes."""


def build_objective(context: ObjectiveContext) -> CostObjective:
    """Build the objective that the options of a search select.

    ``auto`` takes the augmented Lagrangian if there are budgets, else the complexity loss of the paper. Without
    setting C the complexity loss has the weight 0.

    Raises:
        UserError: The objective needs a budget, and the search has none.
    """
    return OBJECTIVES[context.config.objective_taken].build(context)
