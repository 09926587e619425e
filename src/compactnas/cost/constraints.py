"""Limits on the cost of a network: MACs, parameters or milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from compactnas.config import SearchConfig
from compactnas.cost.latency_table import LatencyTable
from compactnas.cost.table import CostTable
from compactnas.errors import UserError
from compactnas.space.genotype import Genotype
from compactnas.space.operation_specs import NONE
from compactnas.space.search_space import Space

USED = 0.95
"""Smallest share of a limit that a derived network should use, if the space has such a network."""

CostKind = Literal["macs", "parameters", "latency"]

OPTIONS = {
    "macs": ("max_macs", "M MACs"),
    "parameters": ("max_parameters", "M parameters"),
    "latency": ("max_latency_ms", "ms"),
}
"""Kind of cost -> search option that limits it, and unit of a million (latency is stored in nanoseconds)."""


@dataclass(frozen=True)
class Budget:
    """One limit on the cost of a network.

    Attributes:
        measure: Kind of cost.
        most: Largest cost allowed.
        table: Cost of each choice of the space.
        live_only: Whether dead nodes cost nothing.
    """

    measure: CostKind
    most: float
    table: CostTable
    live_only: bool = False

    def describe(self, cost: float) -> str:
        """Format a cost with its unit."""
        return f"{cost / 1e6:.3f} {OPTIONS[self.measure][1]}"

    def at(self, widths: Sequence[int]) -> Budget:
        """Return the same limit with the costs at these widths, given as one index per block; empty changes nothing."""
        return replace(self, table=self.table.of_widths(widths))

    def cost_of(self, space: Space, genotype: Genotype) -> int:
        """Compute the cost of a network of the space."""
        return self.table.total(space, genotype, live_only=self.live_only)


def budgets_of(
    config: SearchConfig, space: Space, max_depth: int, bands: int, classes: int, patch_px: int
) -> tuple[Budget, ...]:
    """List the budgets that the options of a search set.

    Args:
        config: Options of the search.
        space: Search space.
        max_depth: Largest depth of a block.
        bands: Number of bands.
        classes: Number of classes.
        patch_px: Side of a patch.

    Raises:
        UserError: The latency table cannot be read, or was measured for another space.
    """
    budgets = []
    if config.max_macs:
        table = CostTable.of(space, max_depth, bands, classes, patch_px)
        budgets.append(Budget("macs", config.max_macs, table))
    if config.max_parameters:
        table = CostTable.of(space, max_depth, bands, classes, patch_px, "parameters")
        budgets.append(Budget("parameters", config.max_parameters, table))
    if config.max_latency_ms:
        latency = LatencyTable.read(config.latency_table)
        table = latency.cost_table(space, max_depth, bands, classes, patch_px)
        budgets.append(Budget("latency", 1e6 * config.max_latency_ms, table, latency.compiled))
    return tuple(budgets)


def require_possible(budgets: Sequence[Budget], space: Space, fixed_depths: Sequence[int] | None) -> None:
    """Check that the smallest network of a space is within each budget.

    Args:
        budgets: Limits to check.
        space: Search space.
        fixed_depths: Depth of each block; None if depths are searched for.

    Raises:
        UserError: Even the smallest network costs more than a budget.
    """
    depths = torch.tensor(fixed_depths or (space.min_depth,) * space.blocks)
    names = [name for name in space.operations if name != NONE or not space.inputs_per_node]
    columns = [space.operations.index(name) for name in names]
    for budget in budgets:
        table = budget.table.of_widths((0,) * space.blocks if space.widths else ())
        each = table.operations[:, columns] * depths[:, None]
        if table.layers is not None:
            reductions = table.layers.reductions[:, columns]
            parts = [each + reductions] if space.alpha_per == "block" else [each, reductions]
            each = torch.stack([part.min(dim=1).values.sum() for part in parts]).sum()
        else:
            edges = space.edges_kept[-1] if budget.live_only else sum(space.edges_kept)  # the last node is never dead
            each = each.sum(0).min() * edges
        overhead = table.overhead[torch.arange(space.blocks), depths - 1].sum()
        least = float(table.fixed) + float(overhead + each)
        if least > budget.most:
            raise UserError(
                f"search.{OPTIONS[budget.measure][0]}: {budget.describe(budget.most)} is too small: the smallest "
                f"network of the space needs {'at least ' * budget.live_only}{budget.describe(least)} (stem, "
                f"reductions and head: {budget.describe(float(table.fixed))}); raise the limit or lower space.channels"
            )


def admits(budgets: Sequence[Budget], space: Space, genotype: Genotype, used: float = 0.0) -> bool:
    """Check that a network is within every budget and uses at least the share ``used`` of one of them."""
    costs = [(budget.cost_of(space, genotype), budget.most) for budget in budgets]
    return all(cost <= most for cost, most in costs) and (not costs or any(cost >= used * most for cost, most in costs))


def unused(budgets: Sequence[Budget], costs: Sequence[int], why: str) -> str:
    """Describe how much of the budgets a network uses and why not more; empty if it uses 95 % of one."""
    if any(cost >= USED * budget.most for budget, cost in zip(budgets, costs, strict=True)) or not budgets:
        return ""
    pairs = zip(budgets, costs, strict=True)
    uses = "; ".join(f"{budget.describe(float(cost))} of {budget.describe(budget.most)}" for budget, cost in pairs)
    return f"{uses}: {why}"
