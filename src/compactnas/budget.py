"""Budgets: the most probable network of at most so many MACs or parameters.

A limit takes the place of the paper's fixed price C_cpl. While a search goes on, a multiplier draws the expected cost
to just below the limit, from both sides: a network that is smaller than it may be is no better for it, and short
searches fall to operations without weights (docs/log.md). At the end the most probable network within the limits is
found by counting, not by trying: what a network costs depends only on how many operations of each price its cell has,
and on its depths.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from compactnas.cost import CostTable
from compactnas.errors import UserError
from compactnas.genotype import Genotype
from compactnas.sampling import Architecture
from compactnas.space import Space

USED = 0.95
"""Share of a limit that a derived network uses at least, where the space has such a network."""

TARGET = 0.975
"""Share of a limit that the expected cost is drawn to: the middle of what counts as used."""

MOST_EDGES = 40
"""That a cell may keep: the ways to share out prices among more of them are too many to count."""

MOST_DEPTHS = 20_000
"""Combinations of depths that are looked at; where a space has more, the likeliest of each block are."""

Measure = Literal["macs", "parameters"]


@dataclass(frozen=True)
class Budget:
    """One limit.

    Attributes:
        measure: what is limited.
        most: the limit.
        table: what each choice costs.
    """

    measure: Measure
    most: float
    table: CostTable

    def describe(self, cost: float) -> str:
        """A cost of this kind as people write it."""
        return f"{cost / 1e6:.3f} M {'MACs' if self.measure == 'macs' else self.measure}"


class Derived(NamedTuple):
    """A network within its limits.

    Attributes:
        genotype: the network.
        unused: why less than 95 % of every limit is used; empty where one is.
    """

    genotype: Genotype
    unused: str


class _Cells(NamedTuple):
    """The likeliest cell of each way to share out prices.

    Attributes:
        counts: edges of each price, (cells, prices).
        scores: log-probabilities, (cells,).
        nodes: the cells themselves.
    """

    counts: NDArray[np.int64]
    scores: NDArray[np.float64]
    nodes: list[tuple[tuple[tuple[str, int], ...], ...]]


def derive_within(architecture: Architecture, budgets: Sequence[Budget]) -> Derived:
    """The most probable network within the limits, of those that use at least 95 % of one where there are any.

    Without a limit in its way it is what `compactnas.sampling.derive` gives.

    Errors:
        UserError: the space has no network within the limits.
    """
    space = architecture.space
    prices = _prices(space, budgets)
    cells = _cells(architecture, prices)
    depths, likely = _depths(architecture)
    scores = cells.scores[:, None] + likely[None]
    costs = [_costs(budget, prices, cells.counts, depths) for budget in budgets]
    within = np.logical_and.reduce(
        [cost <= budget.most for cost, budget in zip(costs, budgets, strict=True)], initial=True
    ) & np.ones(scores.shape, bool)
    used = np.logical_or.reduce(
        [cost >= USED * budget.most for cost, budget in zip(costs, budgets, strict=True)], initial=False
    )
    for allowed, why in ((within & used, ""), (within, "no network of the space uses 95 % of it")):
        for place in np.argsort(-np.where(allowed, scores, -np.inf), axis=None)[: np.count_nonzero(allowed)]:
            cell, combination = np.unravel_index(place, scores.shape)
            genotype = Genotype(
                cells.nodes[int(cell)], tuple(depths[combination].tolist()), space.channels, space.layout
            )
            if genotype.connected:
                return Derived(genotype, _unused(budgets, [float(cost[cell, combination]) for cost in costs], why))
    require_possible(space, architecture.built_depths, budgets)
    raise UserError(f"no network of the space is within {_named(budgets)}; raise the limit")


def require_possible(space: Space, built: Sequence[int], budgets: Sequence[Budget]) -> None:
    """Check that the smallest network of a space is within each limit.

    Args:
        space: what is chosen from.
        built: depth of each block where the depth is not searched for, else the greatest.
        budgets: the limits.

    Errors:
        UserError: it is not.
    """
    searched = set(built) == {space.max_depth} and space.min_depth < space.max_depth
    least_depths = [space.min_depth] * space.blocks if searched else list(built)
    names = [name for name in space.operations if name != "none" or not space.inputs_per_node]
    columns = [space.operations.index(name) for name in names]
    for budget in budgets:
        depths = torch.tensor(least_depths)
        each = (budget.table.operations[:, columns] * depths[:, None]).sum(0).min()
        beside = budget.table.overhead[torch.arange(space.blocks), depths - 1].sum()
        least = budget.table.fixed + float(beside + each * _kept(space).sum())
        if least > budget.most:
            raise UserError(
                f"search.max_{budget.measure}: {budget.describe(budget.most)} are too few: the fixed parts take "
                f"{budget.describe(float(budget.table.fixed))} and the smallest network of the space "
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

    def __call__(self, architecture: Architecture) -> Float[Tensor, ""]:
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

    @staticmethod
    def _excess(budget: Budget, architecture: Architecture) -> Float[Tensor, ""]:
        """How far the expected cost of what would be derived is above the target, as a share of it."""
        return expected(budget.table, architecture) / (TARGET * budget.most) - 1


def expected(table: CostTable, architecture: Architecture) -> Float[Tensor, ""]:
    """Expected cost of what is derived, with gradients: a node that keeps T of its n edges counts each as T/n."""
    space = architecture.space
    p = architecture.probabilities()
    kept = _kept(space)
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


def _kept(space: Space) -> Tensor:
    """Edges that each computed node keeps."""
    inputs = [sum(n == node for n, _ in space.edges) for node in range(space.computed)]
    return torch.tensor([min(n, space.inputs_per_node or n) for n in inputs])


def _prices(space: Space, budgets: Sequence[Budget]) -> list[list[int]]:
    """Operations that may be derived, those that cost the same in every block together."""
    groups: dict[tuple[float, ...], list[int]] = {}
    for index, name in enumerate(space.operations):
        if name != "none" or not space.inputs_per_node:
            column = tuple(float(v) for budget in budgets for v in budget.table.operations[:, index])
            groups.setdefault(column, []).append(index)
    return list(groups.values())


def _cells(architecture: Architecture, prices: Sequence[Sequence[int]]) -> _Cells:
    space = architecture.space
    if int(_kept(space).sum()) > MOST_EDGES:
        raise UserError(
            f"space: a cell keeps {int(_kept(space).sum())} edges, with a budget at most {MOST_EDGES}; "
            "lower space.nodes or space.inputs_per_node"
        )
    logs = architecture.probabilities().detach().double().log().numpy()
    found: dict[tuple[int, ...], tuple[float, tuple[tuple[tuple[str, int], ...], ...]]] = {
        (0,) * len(prices): (0.0, ())
    }
    for node in range(space.computed):
        edges = [(e, source) for e, (n, source) in enumerate(space.edges) if n == node]
        ways = _ways(edges, logs, prices, space)
        longer: dict[tuple[int, ...], tuple[float, tuple[tuple[tuple[str, int], ...], ...]]] = {}
        for (counts, (score, nodes)), (more, (own, picks)) in itertools.product(found.items(), ways.items()):
            key = tuple(a + b for a, b in zip(counts, more, strict=True))
            if key not in longer or score + own > longer[key][0]:
                longer[key] = (score + own, (*nodes, picks))
        found = longer
    return _Cells(
        np.array(list(found), np.int64).reshape(len(found), len(prices)),
        np.array([score for score, _ in found.values()]),
        [nodes for _, nodes in found.values()],
    )


def _ways(
    edges: Sequence[tuple[int, int]], logs: NDArray[np.float64], prices: Sequence[Sequence[int]], space: Space
) -> dict[tuple[int, ...], tuple[float, tuple[tuple[str, int], ...]]]:
    """The likeliest way to fill one node at each share of prices."""
    keep = min(len(edges), space.inputs_per_node or len(edges))
    found: dict[tuple[int, ...], tuple[float, tuple[tuple[str, int], ...]]] = {(0,) * len(prices): (0.0, ())}
    for place, (edge, source) in enumerate(edges):
        best = [max(group, key=lambda index: float(logs[edge, index])) for group in prices]
        longer: dict[tuple[int, ...], tuple[float, tuple[tuple[str, int], ...]]] = {}
        for counts, (score, picks) in found.items():
            options = []
            if len(picks) + len(edges) - place - 1 >= keep:  # enough edges are left
                options.append((counts, score, picks))
            if len(picks) < keep:
                for price, index in enumerate(best):
                    key = tuple(n + (price == position) for position, n in enumerate(counts))
                    options.append((key, score + float(logs[edge, index]), (*picks, (space.operations[index], source))))
            for key, total, chosen in options:
                if key not in longer or total > longer[key][0]:
                    longer[key] = (total, chosen)
        found = longer
    return {counts: way for counts, way in found.items() if len(way[1]) == keep}


def _depths(architecture: Architecture) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Combinations of depths, (combinations, blocks), and their log-probabilities."""
    space = architecture.space
    if architecture.fixed_depths is not None:
        return np.array([architecture.fixed_depths]), np.zeros(1)
    logs = architecture.depth_probabilities().detach().double().log().numpy()
    each = logs.shape[1]
    while each**space.blocks > MOST_DEPTHS:
        each -= 1
    likeliest = np.sort(np.argsort(-logs, axis=1, kind="stable")[:, :each], axis=1)
    combinations = np.array(list(itertools.product(*likeliest)))
    return combinations + space.min_depth, logs[np.arange(space.blocks), combinations].sum(axis=1)


def _costs(
    budget: Budget, prices: Sequence[Sequence[int]], counts: NDArray[np.int64], depths: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Cost of each cell at each combination of depths."""
    of_price = budget.table.operations.numpy()[:, [group[0] for group in prices]]
    beside = budget.table.overhead.numpy()[np.arange(depths.shape[1]), depths - 1].sum(axis=1)
    costs: NDArray[np.float64] = counts @ (depths @ of_price).T + beside + budget.table.fixed
    return costs


def _unused(budgets: Sequence[Budget], costs: Sequence[float], why: str) -> str:
    if not why:
        return ""
    pairs = zip(budgets, costs, strict=True)
    uses = "; ".join(f"{budget.describe(cost)} of {budget.describe(budget.most)}" for budget, cost in pairs)
    return f"{uses}: {why}"


def _named(budgets: Sequence[Budget]) -> str:
    return " and ".join(budget.describe(budget.most) for budget in budgets)
