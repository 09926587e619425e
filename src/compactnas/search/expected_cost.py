"""The expected cost of the network that a search would derive."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from compactnas.cost.table import CostTable
from compactnas.search.architecture import Architecture
from compactnas.space.operation_specs import NONE


def expected_cost(table: CostTable, architecture: Architecture) -> Float[Tensor, ""]:
    """Compute the expected cost of the derived network, with gradients to alpha, depths and widths.

    A node that keeps T of its n edges counts each of them as T/n.
    """
    space = architecture.space
    p = architecture.probabilities()
    kept, inputs = torch.tensor(space.edges_kept), torch.tensor(space.edges_into)
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
