"""The expected cost of the network that a search would derive, and the smallest cost of a space."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from compactnas.cost.constraints import OPTIONS, Budget
from compactnas.cost.table import CostTable
from compactnas.errors import UserError
from compactnas.search.architecture import Architecture
from compactnas.space.operation_specs import NONE
from compactnas.space.search_space import Space


def expected_cost(table: CostTable, architecture: Architecture) -> Float[Tensor, ""]:
    """Compute the expected cost of the derived network, with gradients to alpha, depths and widths.

    A node that keeps T of its n edges counts each of them as T/n.
    """
    space = architecture.space
    p = architecture.probabilities()
    kept = edges_kept(space)
    inputs = torch.tensor([sum(n == node for n, _ in space.edges) for node in range(space.computed)])
    if space.inputs_per_node and NONE in space.operations:
        p = p.index_fill(-1, torch.tensor(space.operations.index(NONE)), 0.0)
        p = p / p.sum(dim=-1, keepdim=True)
    share = (kept / inputs)[torch.tensor([node for node, _ in space.edges])]
    weights = architecture.depth_weights()
    if architecture.fixed_depths is None:
        weights = torch.cat(
            (torch.zeros(space.blocks, space.min_depth - 1), architecture.depth_probabilities()), dim=-1
        )
    return table.at(architecture.width_probabilities()).expected(share[:, None] * p, weights)


def edges_kept(space: Space) -> Tensor:
    """Count the edges that each computed node keeps in a derived network."""
    inputs = [sum(n == node for n, _ in space.edges) for node in range(space.computed)]
    return torch.tensor([min(n, space.inputs_per_node or n) for n in inputs])


def require_possible(architecture: Architecture, budgets: Sequence[Budget]) -> None:
    """Check that the smallest network of the space is within each budget.

    Args:
        architecture: Gives the space, and the depths if they are fixed.
        budgets: Limits to check.

    Raises:
        UserError: Even the smallest network costs more than a budget.
    """
    space = architecture.space
    depths = torch.tensor(architecture.fixed_depths or (space.min_depth,) * space.blocks)
    names = [name for name in space.operations if name != NONE or not space.inputs_per_node]
    columns = [space.operations.index(name) for name in names]
    for budget in budgets:
        table = budget.table.of_widths((0,) * space.blocks if space.widths else ())
        each = table.operations[:, columns] * depths[:, None]
        if table.layers is not None:
            each = (each + table.layers.reductions[:, columns]).min(dim=1).values.sum()
        else:
            each = each.sum(0).min() * edges_kept(space).sum()
        overhead = table.overhead[torch.arange(space.blocks), depths - 1].sum()
        least = float(table.fixed) + float(overhead + each)
        if least > budget.most:
            raise UserError(
                f"search.{OPTIONS[budget.measure][0]}: {budget.describe(budget.most)} is too small: the smallest "
                f"network of the space needs {budget.describe(least)} (stem, reductions and head: "
                f"{budget.describe(float(table.fixed))}); raise the limit or lower space.channels"
            )
