"""The most probable chain of layers within limits, by dynamic programming over its rows of alpha.

The networks of one block are listed with their costs and log-probabilities, then those of the blocks are added up. A
list that grows too long keeps only the most probable network of each small step of the costs: the result is then within
the limits, but another one may be more probable by less than a step of the costs allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compactnas.cost.constraints import Budget
from compactnas.search.architecture import Architecture
from compactnas.search.cell_counts import Scores
from compactnas.search.skip_limit import SkipLimit
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space

LONGEST, SHORTENED = 1600, 400
"""Longest list that is kept whole, and largest number of networks that a longer one keeps."""


class _Networks(NamedTuple):
    """Networks of some blocks, with their choices.

    Attributes:
        costs: Share of each limit, (networks, limits).
        scores: Log-probabilities, (networks,).
        operations: Index of the operation of each row of alpha of these blocks, (networks, rows).
        depths: Depth of each of these blocks, (networks, blocks).
    """

    costs: NDArray[np.float64]
    scores: NDArray[np.float64]
    operations: NDArray[np.int64]
    depths: NDArray[np.int64]

    def taken(self, places: NDArray[np.int64]) -> _Networks:
        return _Networks(self.costs[places], self.scores[places], self.operations[places], self.depths[places])


class Limits(NamedTuple):
    """Costs of the choices as shares of the limits.

    Attributes:
        operations: Cost of each operation in one layer of each block, (limits, blocks, operations).
        reductions: Cost of each operation as the reduction before each block, (limits, blocks, operations).
        rows: Cost of each operation in a row of alpha, however many layers it gives, (limits, operations).
        fixed: Cost of the other parts, (limits,).
    """

    operations: NDArray[np.float64]
    reductions: NDArray[np.float64]
    rows: NDArray[np.float64]
    fixed: NDArray[np.float64]

    @classmethod
    def of(cls, space: Space, budgets: Sequence[Budget], limit: SkipLimit | None) -> Limits:
        """Collect the costs under budgets and a limit on the nodes with some operations."""
        shape = (space.blocks, len(space.operations))
        operations, reductions, rows, fixed = [], [], [], []
        for budget in budgets:
            assert budget.table.layers is not None, "the table was made for cells"
            operations.append(budget.table.operations.numpy() / budget.most)
            reductions.append(budget.table.layers.reductions.numpy() / budget.most)
            rows.append(np.zeros(shape[1]))
            fixed.append(float(budget.table.fixed) / budget.most)
        if limit is not None:
            operations.append(np.zeros(shape))
            reductions.append(np.zeros(shape))
            counted = np.array([float(name in limit.operations) for name in space.operations])
            rows.append(counted * 2.0 if not limit.most else counted / limit.most)  # 2: above a limit of none
            fixed.append(0.0)
        count = len(fixed)
        return cls(
            np.array(operations).reshape(count, *shape),
            np.array(reductions).reshape(count, *shape),
            np.array(rows).reshape(count, shape[1]),
            np.array(fixed),
        )


def most_probable_layers(
    architecture: Architecture, limits: Limits, budgets: int, used: float, scores: Scores | None = None
) -> tuple[Genotype, float] | None:
    """Find the most probable network within limits, without its widths, and its log-probability.

    Args:
        architecture: Gives the probabilities.
        limits: Costs of the choices.
        budgets: Number of the limits that are budgets; they come first.
        used: Share of at least one budget that the network must use; 0 if it may use less.
        scores: Score of each operation of each row of alpha, to use instead of the logarithm of its probability.
    """
    space = architecture.space
    logs = (architecture.probabilities().detach().double().log() if scores is None else scores.double()).numpy()
    found: _Networks | None = None
    for block in range(space.blocks):
        own = _block(architecture, limits, logs, block)
        own = own.taken(_kept(own.costs, own.scores, limits.fixed))
        found = own if found is None else _added(found, own, limits.fixed)
    assert found is not None
    shares = found.costs + limits.fixed
    allowed = (shares <= 1).all(axis=1)
    if used:
        allowed &= (shares[:, :budgets] >= used).any(axis=1)
    if not allowed.any():
        return None
    best = int(np.argmax(np.where(allowed, found.scores, -np.inf)))
    nodes = [((space.operations[index], row),) for row, index in enumerate(found.operations[best].tolist())]
    return space.genotype(nodes, tuple(found.depths[best].tolist())), float(found.scores[best])


def _block(architecture: Architecture, limits: Limits, logs: NDArray[np.float64], block: int) -> _Networks:
    """List the choices of one block: its reduction, its layers and its depth."""
    space = architecture.space
    depths = _depths(architecture, block)
    if space.alpha_per == "block":
        return _shared(limits, logs[block], block, depths)
    rows = space.layers
    first = rows.reduction(block) if block else rows.layer(0, 0)
    width = space.max_depth + bool(block)
    found = _Networks(np.zeros((1, len(limits.fixed))), np.zeros(1), np.zeros((1, 0), np.int64), np.zeros((1, 0), int))
    if block:
        found = _row(found, limits.reductions[:, block] + limits.rows, logs[first], limits.fixed)
    parts: list[_Networks] = []
    for depth in range(1, max(depths) + 1):
        row = rows.layer(block, depth - 1)
        found = _row(found, limits.operations[:, block] + limits.rows, logs[row], limits.fixed)
        if depth in depths:
            rest = logs[first + found.operations.shape[1] : first + width]  # layers that this depth leaves out
            unused = np.broadcast_to(rest.argmax(axis=1), (len(found.scores), len(rest)))
            parts.append(
                _Networks(
                    found.costs,
                    found.scores + rest.max(axis=1).sum() + depths[depth],
                    np.hstack([found.operations, unused]),
                    np.full((len(found.scores), 1), depth),
                )
            )
    return _Networks(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _shared(limits: Limits, logs: NDArray[np.float64], block: int, depths: dict[int, float]) -> _Networks:
    """List the choices of a block whose layers share one row of alpha."""
    each = [limits.operations[:, block] * depth + limits.reductions[:, block] + limits.rows for depth in depths]
    count = len(logs)
    return _Networks(
        np.concatenate([costs.T for costs in each]),
        np.concatenate([logs + score for score in depths.values()]),
        np.tile(np.arange(count), len(depths))[:, None],
        np.repeat(list(depths), count)[:, None],
    )


def _depths(architecture: Architecture, block: int) -> dict[int, float]:
    """List the depths that a block may have, with their log-probabilities."""
    if architecture.fixed_depths is not None:
        return {architecture.fixed_depths[block]: 0.0}
    logs = architecture.depth_probabilities().detach().double().log()[block].tolist()
    return {architecture.space.min_depth + place: value for place, value in enumerate(logs)}


def _row(
    before: _Networks, costs: NDArray[np.float64], logs: NDArray[np.float64], fixed: NDArray[np.float64]
) -> _Networks:
    """Add each operation of one row of alpha to each network."""
    one = _Networks(costs.T, logs, np.arange(len(logs))[:, None], np.zeros((len(logs), 0), np.int64))
    return _added(before, one, fixed)


def _added(first: _Networks, second: _Networks, fixed: NDArray[np.float64]) -> _Networks:
    """Combine each network of the first list with each of the second, as far as they are worth keeping."""
    a = np.repeat(np.arange(len(first.scores)), len(second.scores))
    b = np.tile(np.arange(len(second.scores)), len(first.scores))
    costs, scores = first.costs[a] + second.costs[b], first.scores[a] + second.scores[b]
    kept = _kept(costs, scores, fixed)
    one, other = first.taken(a[kept]), second.taken(b[kept])
    operations, depths = np.hstack([one.operations, other.operations]), np.hstack([one.depths, other.depths])
    return _Networks(costs[kept], scores[kept], operations, depths)


def _kept(costs: NDArray[np.float64], scores: NDArray[np.float64], fixed: NDArray[np.float64]) -> NDArray[np.int64]:
    """Leave out networks above a limit; of too many, keep the most probable one of each step of the costs."""
    within = np.flatnonzero((costs + fixed <= 1).all(axis=1))
    if len(within) <= LONGEST or not fixed.size:
        return within
    order = within[np.argsort(-scores[within], kind="stable")]
    each = int(SHORTENED ** (1 / fixed.size))
    steps = np.floor(costs[order] * each).astype(np.int64) @ (each + 1) ** np.arange(fixed.size)
    kept: NDArray[np.int64] = order[np.sort(np.unique(steps, return_index=True)[1])]
    return kept
