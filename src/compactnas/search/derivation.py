"""Derivation: the network that an architecture stands for, without limits or within a cost budget."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from compactnas.cost.constraints import USED, Budget, require_possible, unused
from compactnas.errors import UserError
from compactnas.search.architecture import Architecture
from compactnas.search.cell_counts import Cells, Group, Scores, count_cells, groups_of
from compactnas.search.layer_derivation import Limits, most_probable_layers
from compactnas.search.skip_limit import SkipLimit
from compactnas.space.genotype import Genotype
from compactnas.space.operation_specs import NONE

MOST_DEPTHS = 20_000
"""Most combinations of depths that are compared; larger spaces compare the most probable depths of each block."""


@dataclass(frozen=True)
class Derived:
    """A derived network.

    Attributes:
        genotype: The network.
        unused: Why it uses less than 95 % of every budget; empty if it uses 95 % of one.
        metrics: Figures that the search adds to the last row of its metrics.
        scores: Score of each operation of each edge that it was derived by; None if it was derived by alpha.
    """

    genotype: Genotype
    unused: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    scores: Scores | None = None


class _Choices(NamedTuple):
    """Cells and depths to choose from.

    Attributes:
        groups: Operations that cost the same.
        cells: Cells, with their scores.
        depths: Combinations of depths, (combinations, blocks).
        depth_scores: Log-probabilities of these combinations, (combinations,).
    """

    groups: Sequence[Group]
    cells: Cells
    depths: NDArray[np.int64]
    depth_scores: NDArray[np.float64]


class _Round(NamedTuple):
    """One round of the derivation: requirements for the network.

    Attributes:
        used: Share of at least one budget that it must use.
        allowed: Cells that may be derived, (cells,).
    """

    used: float
    allowed: NDArray[np.bool_]


def derive(architecture: Architecture, scores: Scores | None = None) -> Genotype:
    """Take the most probable operation of each edge and depth and width of each block (paper, section 3).

    With ``inputs_per_node`` a node keeps that many edges, those with the most probable operations other than
    ``none``. Otherwise all edges stay, and ``none`` may win. If ``none`` would cut the output off from every input,
    the last node gets its most probable other operation on the edge from the first input.

    Args:
        architecture: Gives the probabilities.
        scores: Score of each operation of each edge, to use instead of its probability.
    """
    space = architecture.space
    p = architecture.probabilities().detach() if scores is None else scores
    nodes: list[list[tuple[str, int]]] = [[] for _ in range(space.computed)]
    for node in range(space.computed):
        rows = [(e, source) for e, (n, source) in enumerate(space.edges) if n == node]
        if space.inputs_per_node:
            best = sorted(((_strongest(p[e], space.operations), e, s) for e, s in rows), reverse=True)
            kept = sorted(best[: space.inputs_per_node], key=lambda item: item[2])
            nodes[node] = [(name, s) for (_, name), _, s in kept]
        else:
            nodes[node] = [(space.operations[int(p[e].argmax())], s) for e, s in rows]
    depths = architecture.derived_depths()

    def genotype() -> Genotype:
        widths = architecture.derived_widths()
        return space.genotype([tuple(edges) for edges in nodes], depths, widths)

    if not genotype().is_connected:
        edge = space.edges.index((space.computed - 1, 0))
        nodes[-1] = [(_strongest(p[edge], space.operations)[1], 0), *[pair for pair in nodes[-1] if pair[1] != 0]]
    return genotype()


def _strongest(row: Tensor, operations: Sequence[str]) -> tuple[float, str]:
    return max((float(row[i]), name) for i, name in enumerate(operations) if name != NONE)


def derive_within(
    architecture: Architecture,
    budgets: Sequence[Budget],
    limit: SkipLimit | None = None,
    scores: Scores | None = None,
) -> Derived:
    """Derive the most probable network within budgets.

    Prefers networks that use at least 95 % of a budget, and networks without dead nodes: the operations of a dead node
    have no effect, so they must neither use the budget nor satisfy the skip limit. If `derive` gives such a network,
    it is the result.

    Args:
        architecture: Gives the probabilities.
        budgets: Limits on the cost.
        limit: Limit on skip connections.
        scores: Score of each operation of each edge, to use instead of the logarithm of its probability.

    Raises:
        UserError: The space has no network within the limits.
    """
    if architecture.space.layout_of.residual:
        return _layers_within(architecture, budgets, limit, scores)
    groups = groups_of(architecture.space, budgets, limit)
    cells = count_cells(architecture, groups, limit, scores)
    choices = _Choices(groups, cells, *_depths(architecture))
    every = np.ones_like(cells.live)
    rounds = [_Round(USED, cells.live)] if budgets else []
    rounds += [_Round(0.0, cells.live)] if limit else []
    rounds += [_Round(USED, every)] if budgets else []
    rounds += [_Round(0.0, every)]
    for one in rounds:
        derived = _most_probable(architecture, budgets, choices, one)
        if derived is not None:
            return derived
    raise _nothing(architecture, budgets, limit, choices)


def _nothing(
    architecture: Architecture, budgets: Sequence[Budget], limit: SkipLimit | None, choices: _Choices | None = None
) -> UserError:
    """Describe that the space has no network within the limits, and what the smallest one within the skip limit needs.

    Args:
        architecture: Gives the space.
        budgets: Limits on the cost.
        limit: Limit on skip connections.
        choices: Cells within the skip limit; None if there are no cells.
    """
    require_possible(budgets, architecture.space, architecture.fixed_depths)
    limits = [budget.describe(budget.most) for budget in budgets] + ([limit.describe()] if limit else [])
    smallest = ""
    if limit and budgets and choices and choices.cells.live.any():
        least = " and ".join(budget.describe(_smallest(architecture, budget, choices)) for budget in budgets)
        smallest = f"the smallest within the limit of edges needs {least}; "
    remedy = raising(budgets, limit)
    return UserError(f"search: no network of the space is within {' and '.join(limits)}; {smallest}{remedy}")


def raising(budgets: Sequence[Budget], limit: SkipLimit | None) -> str:
    """Say what to do if no network is within the limits."""
    return "raise " + " or ".join(["the budget"] * bool(budgets) + ["search.skip_limit_edges"] * bool(limit))


def _smallest(architecture: Architecture, budget: Budget, choices: _Choices) -> float:
    """Find the cost of the smallest network without dead nodes."""
    space, counts = architecture.space, choices.cells.counts[choices.cells.live]
    depths = np.array([architecture.fixed_depths or (space.min_depth,) * space.blocks])
    return min(
        float(_costs(budget.at(widths), choices.groups, counts, depths).min()) for widths, _ in _widths(architecture)
    )


def _layers_within(
    architecture: Architecture, budgets: Sequence[Budget], limit: SkipLimit | None, scores: Scores | None
) -> Derived:
    """Derive the most probable chain of layers within budgets; prefers those that use at least 95 % of one."""
    space = architecture.space
    for used in (USED, 0.0) if budgets else (0.0,):
        best_score, best = -np.inf, None
        for widths, score in _widths(architecture):
            if score <= best_score:
                break  # the widths that are left are less probable
            limits = Limits.of(space, [budget.at(widths) for budget in budgets], limit)
            found = most_probable_layers(architecture, limits, len(budgets), used, scores)
            if found is not None and score + found[1] > best_score:
                best_score, best = score + found[1], space.with_widths(found[0], widths)
        if best is not None:
            costs = [budget.cost_of(space, best) for budget in budgets]
            return Derived(best, unused(budgets, costs, "no network of the space uses 95 % of it"))
    raise _nothing(architecture, budgets, limit)


def _most_probable(
    architecture: Architecture, budgets: Sequence[Budget], choices: _Choices, given: _Round
) -> Derived | None:
    """Find the most probable network of a round; None if the space has no such network."""
    space, best_score, best = architecture.space, -np.inf, None
    cells, depths = choices.cells, choices.depths
    scores = cells.scores[:, None] + choices.depth_scores[None]
    for widths, score in _widths(architecture):
        if best is not None and score + scores.max() <= best_score:
            break  # the widths that are left are less probable
        costs = [_costs(budget.at(widths), choices.groups, cells.counts, depths) for budget in budgets]
        allowed = _within(budgets, costs, given.used) & np.broadcast_to(given.allowed[:, None], scores.shape)
        order = np.argsort(-np.where(allowed, scores, -np.inf), axis=None, kind="stable")
        for place in order[: np.count_nonzero(allowed)]:
            cell, combination = np.unravel_index(place, scores.shape)
            if best is not None and score + scores[cell, combination] <= best_score:
                break
            channels = tuple(row[w] for row, w in zip(space.block_widths, widths, strict=True)) if widths else ()
            chosen = tuple(depths[combination].tolist())
            genotype = space.genotype(cells.nodes[int(cell)], chosen, channels)
            # The counted cost is an upper bound if dead nodes cost nothing.
            exact = [budget.cost_of(space, genotype) for budget in budgets]
            left = unused(budgets, exact, "no network of the space uses 95 % of it")
            if genotype.is_connected and not (given.used and left):
                best_score, best = score + float(scores[cell, combination]), Derived(genotype, left)
                break
    return best


def _depths(architecture: Architecture) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """List combinations of depths, (combinations, blocks), and their log-probabilities."""
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


def _widths(architecture: Architecture) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yield indices of the widths of the blocks with their log-probability, most probable first.

    Yields one empty tuple if widths are not searched for.
    """
    p = architecture.width_probabilities()
    if p is None:
        yield (), 0.0
        return
    logs = p.detach().double().log().numpy()
    combinations = list(itertools.product(range(logs.shape[1]), repeat=len(logs)))
    scores = np.array([logs[range(len(logs)), list(places)].sum() for places in combinations])
    for place in np.argsort(-scores, kind="stable"):
        yield combinations[int(place)], float(scores[place])


def _within(budgets: Sequence[Budget], costs: Sequence[NDArray[np.float64]], used: float) -> NDArray[np.bool_]:
    """Mark where every cost is within its budget and at least one uses the share ``used`` of it."""
    pairs = list(zip(costs, budgets, strict=True))
    within = np.logical_and.reduce([cost <= budget.most for cost, budget in pairs], initial=True)
    share = np.logical_or.reduce([cost >= used * budget.most for cost, budget in pairs], initial=not used)
    return np.asarray(within & share)


def _costs(
    budget: Budget, groups: Sequence[Group], counts: NDArray[np.int64], depths: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Compute the cost of each cell at each combination of depths."""
    per_edge = budget.table.operations.numpy()[:, [group[0] for group in groups]]
    overhead = budget.table.overhead.numpy()[np.arange(depths.shape[1]), depths - 1].sum(axis=1)
    costs: NDArray[np.float64] = counts @ (depths @ per_edge).T + overhead + float(budget.table.fixed)
    return costs
