"""What cost adds to the loss of the architecture (setting C)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from compactnas.cost.table import CostTable
from compactnas.search.sampling import Architecture, Draw
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space


@runtime_checkable
class Price(Protocol):
    """What cost adds to the loss of the architecture (setting C)."""

    def __call__(self, architecture: Architecture, draw: Draw) -> Tensor:
        """The loss, on the CPU, with its gradients to the architecture."""
        ...

    def of(self, space: Space, genotype: Genotype) -> float:
        """The same of one network."""
        ...

    def state(self) -> list[float]:
        """What it has learnt, for a checkpoint."""
        ...

    def restore(self, values: Sequence[float]) -> None:
        """Take up such a state."""
        ...


@dataclass(frozen=True)
class ComplexityLoss:
    """C_cpl x L_cpl (paper, section 3), with what the paper leaves open as settings.

    Attributes:
        table: MACs of the space's choices.
        weight: C_cpl.
        n_ops: N_ops.
        unit: MACs that count as one.
        probability: which probabilities weigh the MACs.
        depth: which depths multiply a cell's cost.
    """

    table: CostTable
    weight: float
    n_ops: int
    unit: float
    probability: Literal["softmax", "gumbel", "one_hot"]
    depth: Literal["expected", "sampled", "derived"]

    def __call__(self, architecture: Architecture, draw: Draw) -> Tensor:
        """The loss of the architecture, on the CPU; its only gradients are to alpha, and to widths."""
        p = draw.operations if self.probability != "softmax" else architecture.probabilities()
        if self.probability == "one_hot":
            hard = torch.zeros_like(p).scatter_(-1, p.argmax(dim=-1, keepdim=True), 1.0)
            p = hard + (p - p.detach())
        if self.depth == "derived":
            depths = torch.tensor(architecture.derived_depths(), dtype=p.dtype)
        else:
            depths = architecture.mean_depths(draw.depths if self.depth == "sampled" else None)
        return self.weight * self.table.at(architecture.width_probabilities()).complexity(
            p, depths, self.n_ops, self.unit
        )

    def of(self, space: Space, genotype: Genotype) -> float:
        """The loss of one network, for sure."""
        return self.weight * float(self.table.cells(space, genotype).sum()) / (self.n_ops * self.unit)

    def state(self) -> list[float]:
        """Nothing: its weight is fixed."""
        return []

    def restore(self, values: Sequence[float]) -> None:
        """Nothing to take up."""
