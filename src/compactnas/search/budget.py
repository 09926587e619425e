"""Budgets: at most so many MACs, parameters or milliseconds.

A limit takes the place of the paper's fixed price C_cpl. While a search goes on, a multiplier draws the expected cost
to just below the limit, from both sides: a network that is smaller than it may be is no better for it, and short
searches fall to operations without weights (docs/log.md). At the end the most probable network within the limits is
derived (`compactnas.search.derivation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from compactnas.config import SearchConfig
from compactnas.cost.latency_table import LatencyTable
from compactnas.cost.table import CostTable
from compactnas.errors import UserError
from compactnas.search.objectives import ComplexityLoss, Price
from compactnas.search.sampling import Architecture, Draw
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space

USED = 0.95
"""Share of a limit that a derived network uses at least, where the space has such a network."""

TARGET = 0.975
"""Share of a limit that the expected cost is drawn to: the middle of what counts as used."""

Measure = Literal["macs", "parameters", "latency"]

WRITTEN = {
    "macs": ("max_macs", "M MACs"),
    "parameters": ("max_parameters", "M parameters"),
    "latency": ("max_latency_ms", "ms"),
}
"""Option of the search that limits a measure, and a million of its units: latency is in nanoseconds."""


@dataclass(frozen=True)
class Budget:
    """One limit.

    Attributes:
        measure: what is limited.
        most: the limit.
        table: what each choice costs.
        heard: whether a node from which the cell's output does not hear costs nothing.
    """

    measure: Measure
    most: float
    table: CostTable
    heard: bool = False

    def describe(self, cost: float) -> str:
        """A cost of this kind as people write it."""
        return f"{cost / 1e6:.3f} {WRITTEN[self.measure][1]}"

    def at(self, widths: Sequence[int]) -> Budget:
        """The same limit where the blocks' widths are chosen, by their places; itself where there are none."""
        return replace(self, table=self.table.of_widths(widths))

    def of(self, space: Space, genotype: Genotype) -> int:
        """What a network of the space costs."""
        return self.table.total(space, genotype, heard=self.heard)


def budgets_of(
    config: SearchConfig, space: Space, max_depth: int, bands: int, classes: int, patch_px: int
) -> tuple[Budget, ...]:
    """The limits that a search is given.

    Args:
        config: of the search.
        space: what is chosen from.
        max_depth: largest depth of a block.
        bands: of the patches.
        classes: of the answer.
        patch_px: side of a patch.

    Errors:
        UserError: the table of latencies is none, or of another space.
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
        table = latency.of(space, max_depth, bands, classes, patch_px)
        budgets.append(Budget("latency", 1e6 * config.max_latency_ms, table, latency.compiled))
    return tuple(budgets)


def price_of(config: SearchConfig, space: Space, macs: CostTable, budgets: Sequence[Budget]) -> Price:
    """What setting C adds to the loss of the architecture: the paper's loss, or what draws to the budgets."""
    if config.complexity and budgets:
        return Multiplier(budgets)
    return ComplexityLoss(
        macs,
        config.complexity_weight if config.complexity else 0.0,
        len(space.operations) * (1 if config.complexity_operations == "edge" else len(space.edges)),
        config.complexity_unit,
        config.complexity_probability,
        config.complexity_depth,
    )


def admits(budgets: Sequence[Budget], space: Space, genotype: Genotype, used: float = 0.0) -> bool:
    """Whether a network is within every limit, and uses this share of at least one where there are any."""
    costs = [(budget.of(space, genotype), budget.most) for budget in budgets]
    return all(cost <= most for cost, most in costs) and (not costs or any(cost >= used * most for cost, most in costs))


def unused(budgets: Sequence[Budget], costs: Sequence[int], why: str) -> str:
    """What a network uses of its limits, and why not more; empty where one is used."""
    if any(cost >= USED * budget.most for budget, cost in zip(budgets, costs, strict=True)) or not budgets:
        return ""
    pairs = zip(budgets, costs, strict=True)
    uses = "; ".join(f"{budget.describe(float(cost))} of {budget.describe(budget.most)}" for budget, cost in pairs)
    return f"{uses}: {why}"


def require_possible(architecture: Architecture, budgets: Sequence[Budget]) -> None:
    """Check that the smallest network of a space is within each limit.

    Args:
        architecture: the space, and depths where they are not searched for.
        budgets: the limits.

    Errors:
        UserError: it is not.
    """
    space = architecture.space
    depths = torch.tensor(architecture.fixed_depths or (space.min_depth,) * space.blocks)
    names = [name for name in space.operations if name != "none" or not space.inputs_per_node]
    columns = [space.operations.index(name) for name in names]
    for budget in budgets:
        table = budget.table.of_widths((0,) * space.blocks if space.widths else ())
        each = (table.operations[:, columns] * depths[:, None]).sum(0).min()
        beside = table.overhead[torch.arange(space.blocks), depths - 1].sum()
        least = float(table.fixed) + float(beside + each * edges_kept(space).sum())
        if least > budget.most:
            option = WRITTEN[budget.measure][0]
            raise UserError(
                f"search.{option}: {budget.describe(budget.most)} are too few: the fixed parts take "
                f"{budget.describe(float(table.fixed))} and the smallest network of the space "
                f"{budget.describe(least)}; raise the limit, or lower space.channels"
            )


class Multiplier:
    """Draws the expected cost to the limits while a search goes on, by an augmented Lagrangian.

    Args:
        budgets: the limits.
        rate: of the multipliers, for a step and a relative excess of one.
        stiffness: weight of half the squared excess.
    """

    def __init__(self, budgets: Sequence[Budget], rate: float = 0.02, stiffness: float = 0.5) -> None:
        self.budgets, self.rate, self.stiffness = tuple(budgets), rate, stiffness
        self.values = [0.0] * len(self.budgets)

    def __call__(self, architecture: Architecture, draw: Draw | None = None) -> Float[Tensor, ""]:
        """The loss of the architecture, with gradients to alpha and to the depths; moves the multipliers."""
        loss = torch.zeros(())
        excesses = [self._excess(budget, architecture) for budget in self.budgets]
        # Only the limit that is nearest is drawn to; others are kept.
        over = [float(excess.detach()) for excess in excesses]
        for place, excess in enumerate(excesses):
            if over[place] < min(0.0, max(over)):
                self.values[place] = 0.0
                continue
            loss = loss + self.values[place] * excess + self.stiffness / 2 * excess**2
            self.values[place] += self.rate * over[place]
        return loss

    def of(self, space: Space, genotype: Genotype) -> float:
        """Nothing: one network is within the limits, or it is no candidate."""
        return 0.0

    def state(self) -> list[float]:
        """The multipliers."""
        return list(self.values)

    def restore(self, values: Sequence[float]) -> None:
        """Take up such a state."""
        self.values = list(values)

    @staticmethod
    def _excess(budget: Budget, architecture: Architecture) -> Float[Tensor, ""]:
        """How far the expected cost of what would be derived is above the target, as a share of it."""
        return expected(budget.table.at(architecture.width_probabilities()), architecture) / (TARGET * budget.most) - 1


def expected(table: CostTable, architecture: Architecture) -> Float[Tensor, ""]:
    """Expected cost of what is derived, with gradients: a node that keeps T of its n edges counts each as T/n."""
    space = architecture.space
    p = architecture.probabilities()
    kept = edges_kept(space)
    inputs = torch.tensor([sum(n == node for n, _ in space.edges) for node in range(space.computed)])
    if space.inputs_per_node and "none" in space.operations:
        p = p.index_fill(-1, torch.tensor(space.operations.index("none")), 0.0)
        p = p / p.sum(dim=-1, keepdim=True)
    share = (kept / inputs)[torch.tensor([node for node, _ in space.edges])]
    weights = architecture.depth_weights()
    if architecture.fixed_depths is None:
        weights = torch.cat(
            (torch.zeros(space.blocks, space.min_depth - 1), architecture.depth_probabilities()), dim=-1
        )
    return table.expected(share[:, None] * p, weights)


def edges_kept(space: Space) -> Tensor:
    """Edges that each computed node keeps."""
    inputs = [sum(n == node for n, _ in space.edges) for node in range(space.computed)]
    return torch.tensor([min(n, space.inputs_per_node or n) for n in inputs])
