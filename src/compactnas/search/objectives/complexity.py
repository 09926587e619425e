"""The complexity loss of the paper: expected MACs, weighted by a constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from compactnas.cost.table import CostTable
from compactnas.errors import UserError
from compactnas.search.architecture import Architecture
from compactnas.search.objective import CostObjective, ObjectiveContext
from compactnas.search.sampling import Draw
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space


@dataclass(frozen=True)
class ComplexityLoss(CostObjective):
    """C_cpl x L_cpl (paper, section 3), with settings for what the paper leaves open.

    Attributes:
        table: MACs of each choice of the space.
        weight: C_cpl.
        n_ops: N_ops.
        unit: MACs that count as one; with `complexity_scale: share` the mean of the space, and N_ops is one.
        probability: Probability that weighs the MACs of an operation.
        depth: Depth that multiplies the cost of a cell.
    """

    options: ClassVar[tuple[str, ...]] = (
        "complexity_weight",
        "complexity_scale",
        "complexity_unit",
        "complexity_operations",
        "complexity_probability",
        "complexity_depth",
    )

    table: CostTable
    weight: float
    n_ops: int
    unit: float
    probability: Literal["softmax", "gumbel", "one_hot"]
    depth: Literal["expected", "sampled", "derived"]

    @classmethod
    def build(cls, context: ObjectiveContext) -> ComplexityLoss:
        """Build the loss from the options of a search."""
        config, space = context.config, context.space
        counted = len(space.operations) * (1 if config.complexity_operations == "edge" else len(space.edges))
        share = config.complexity_scale == "share"
        return cls(
            context.macs,
            config.complexity_weight if config.complexity else 0.0,
            1 if share else counted,
            mean_cost(context) if share else config.complexity_unit,
            config.complexity_probability,
            config.complexity_depth,
        )

    def loss(self, architecture: Architecture, draw: Draw) -> Float[Tensor, ""]:
        """Compute the loss; its only gradients are to alpha and to widths."""
        p = draw.operations if self.probability != "softmax" else architecture.probabilities()
        if self.probability == "one_hot":
            hard = torch.zeros_like(p).scatter_(-1, p.argmax(dim=-1, keepdim=True), 1.0)
            p = hard + (p - p.detach())
        if self.depth == "derived":
            depths = torch.tensor(architecture.derived_depths(), dtype=p.dtype)
        else:
            depths = architecture.mean_depths(draw.depths if self.depth == "sampled" else None)
        table = self.table.at(architecture.width_probabilities())
        return self.weight * table.complexity(p, depths, self.n_ops, self.unit)

    def cost_of(self, space: Space, genotype: Genotype) -> float:
        """Compute the loss of one network."""
        return self.weight * float(self.table.cells(space, genotype).sum()) / (self.n_ops * self.unit)


def mean_cost(context: ObjectiveContext) -> float:
    """Compute the mean cost over the space, as the loss counts it: each operation and each depth is equally likely.

    Every edge counts, as in the loss. With widths, the blocks have all their channels.

    Raises:
        UserError: No operation of the space has a cost.
    """
    config, space = context.config, context.space
    even = torch.full((len(space.edges), len(space.operations)), 1 / len(space.operations), dtype=torch.float64)
    depth = (space.min_depth + space.max_depth) / 2 if config.search_depth else config.initial_depth
    depths = torch.full((space.blocks,), depth, dtype=torch.float64)
    mean = float(context.macs.complexity(even, depths, 1, 1.0))
    if not mean:
        raise UserError(
            "search.complexity_scale: share needs an operation with MACs, and space.operations has none; "
            "add a convolution, or leave the option out"
        )
    return mean


OBJECTIVE = ComplexityLoss
