"""Derivation within limits: the most probable network that costs no more.

It is found by counting, not by trying: what a network costs depends only on how many operations of each price its cell
has, and on its depths. A budget is to be used by what computes the answer: of the cells that use one, those
with a node that the output does not hear are taken only where there are no others.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compactnas.errors import UserError
from compactnas.search.budget import USED, Budget, edges_kept, require_possible, unused
from compactnas.search.sampling import Architecture
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space

MOST_CELLS = 200_000
"""Ways to share out prices among a cell's edges: more are too many to count."""

MOST_HEARD = 50_000
"""The same, times the ways to read its nodes: where there are more, it is not asked whether all are heard."""

MOST_DEPTHS = 20_000
"""Combinations of depths that are looked at; where a space has more, the likeliest of each block are."""


class Derived(NamedTuple):
    """A network within its limits.

    Attributes:
        genotype: the network.
        unused: why less than 95 % of every limit is used; empty where one is.
    """

    genotype: Genotype
    unused: str


class Guard(NamedTuple):
    """At most so many edges of a cell with some operations: a guard against the collapse to them (P-DARTS).

    Attributes:
        operations: their names.
        most: edges.
    """

    operations: Collection[str]
    most: int

    def count(self, genotype: Genotype) -> int:
        """Edges of a cell that have one of the operations."""
        return sum(name in self.operations for edges in genotype.nodes for name, _ in edges)


Edges = tuple[tuple[str, int], ...]
"""Of a node: operation and source."""


class _Cells(NamedTuple):
    """The likeliest cell of each way to share out prices and to read the nodes.

    Attributes:
        counts: edges of each price, (cells, prices).
        scores: log-probabilities, (cells,).
        whole: whether the output hears every node, (cells,).
        nodes: the cells themselves.
    """

    counts: NDArray[np.int64]
    scores: NDArray[np.float64]
    whole: NDArray[np.bool_]
    nodes: list[tuple[Edges, ...]]


class _Way(NamedTuple):
    """How a node, or the first nodes of a cell, may be filled.

    Attributes:
        counts: edges of each price.
        read: inner states that some node reads.
    """

    counts: tuple[int, ...]
    read: frozenset[int]

    def __add__(self, other: object) -> _Way:
        assert isinstance(other, _Way)
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return _Way(counts, self.read | other.read)


def derive_within(architecture: Architecture, budgets: Sequence[Budget], guard: Guard | None = None) -> Derived:
    """The most probable network within the limits, of those that use at least 95 % of one where there are any.

    Of these it is one whose output hears every node, where there are such. Without a limit in its way it is what
    `compactnas.search.sampling.derive` gives.

    Args:
        architecture: the probabilities.
        budgets: limits of cost.
        guard: a limit of operations.

    Errors:
        UserError: the space has no network within the limits.
    """
    space = architecture.space
    prices = _prices(space, budgets, guard)
    cells = _cells(architecture, prices, guard)
    depths, likely = _depths(architecture)
    scores = cells.scores[:, None] + likely[None]
    every = np.ones_like(cells.whole)
    tries = [("", cells.whole)] if budgets else []
    tries += [("", every), ("no network of the space uses 95 % of it", every)]
    for why, sound in tries:
        best: tuple[float, Derived] | None = None
        for widths, score in _widths(architecture):
            if best is not None and score + scores.max() <= best[0]:
                break  # the widths that are left are less likely
            costs = [_costs(budget.at(widths), prices, cells.counts, depths) for budget in budgets]
            allowed = _allowed(budgets, costs, USED if not why else 0.0) & np.broadcast_to(sound[:, None], scores.shape)
            for place in np.argsort(-np.where(allowed, scores, -np.inf), axis=None, kind="stable")[
                : np.count_nonzero(allowed)
            ]:
                cell, combination = np.unravel_index(place, scores.shape)
                if best is not None and score + scores[cell, combination] <= best[0]:
                    break
                channels = tuple(row[w] for row, w in zip(space.block_widths, widths, strict=True)) if widths else ()
                genotype = Genotype(
                    cells.nodes[int(cell)], tuple(depths[combination].tolist()), space.channels, space.layout, channels
                )
                # What was counted is an upper bound where a node is not heard.
                left = unused(budgets, [budget.of(space, genotype) for budget in budgets], why or "nodes are not heard")
                if genotype.connected and (why or not left):
                    best = (score + float(scores[cell, combination]), Derived(genotype, left))
                    break
        if best is not None:
            return best[1]
    require_possible(architecture, budgets)
    limits = [budget.describe(budget.most) for budget in budgets]
    limits += [f"{guard.most} edges of {', '.join(guard.operations)}"] if guard else []
    raise UserError(f"no network of the space is within {' and '.join(limits)}; raise a limit")


def _prices(space: Space, budgets: Sequence[Budget], guard: Guard | None) -> list[list[int]]:
    """Operations that may be derived, those that cost the same in every block and are guarded alike together."""
    groups: dict[tuple[float, ...], list[int]] = {}
    for index, name in enumerate(space.operations):
        if name != "none" or not space.inputs_per_node:
            column = tuple(float(v) for budget in budgets for v in budget.table.operations[:, index])
            guarded = float(guard is not None and name in guard.operations)
            groups.setdefault((guarded, *column), []).append(index)
    return list(groups.values())


def _cells(architecture: Architecture, prices: Sequence[Sequence[int]], guard: Guard | None) -> _Cells:
    space = architecture.space
    kept = int(edges_kept(space).sum())
    if (shares := comb(kept + len(prices) - 1, kept)) > MOST_CELLS:
        raise UserError(
            f"space: the {kept} edges that a cell keeps, of {len(prices)} prices, are too many for a budget; "
            "lower space.nodes or space.inputs_per_node"
        )
    inner = _inner(space)
    if shares * 2 ** len(inner) > MOST_HEARD:
        inner = frozenset()
    logs = architecture.probabilities().detach().double().log().numpy()
    found: dict[_Way, tuple[float, tuple[Edges, ...]]] = {_Way((0,) * len(prices), frozenset()): (0.0, ())}
    for node in range(space.computed):
        edges = [(e, source) for e, (n, source) in enumerate(space.edges) if n == node]
        ways = _ways(edges, logs, prices, space, inner)
        longer: dict[_Way, tuple[float, tuple[Edges, ...]]] = {}
        for (before, (score, nodes)), (way, (own, picks)) in itertools.product(found.items(), ways.items()):
            key = before + way
            if key not in longer or score + own > longer[key][0]:
                longer[key] = (score + own, (*nodes, picks))
        found = longer
    if guard is not None:
        guarded = [place for place, group in enumerate(prices) if space.operations[group[0]] in guard.operations]
        found = {key: cell for key, cell in found.items() if sum(key.counts[place] for place in guarded) <= guard.most}
    return _Cells(
        np.array([key.counts for key in found], np.int64).reshape(len(found), len(prices)),
        np.array([score for score, _ in found.values()]),
        np.array([key.read >= inner for key in found], bool),
        [nodes for _, nodes in found.values()],
    )


def _inner(space: Space) -> frozenset[int]:
    """States that a node has to read for the output to hear all of them."""
    layout = space.layout_of
    if layout.output != "last":
        return frozenset()
    return frozenset(range(layout.inputs, layout.inputs + space.computed - 1))


def _ways(
    edges: Sequence[tuple[int, int]],
    logs: NDArray[np.float64],
    prices: Sequence[Sequence[int]],
    space: Space,
    inner: frozenset[int],
) -> dict[_Way, tuple[float, Edges]]:
    """The likeliest way to fill one node at each share of prices and from each set of states."""
    keep = min(len(edges), space.inputs_per_node or len(edges))
    nothing = (0,) * len(prices)
    found: dict[_Way, tuple[float, Edges]] = {_Way(nothing, frozenset()): (0.0, ())}
    for place, (edge, source) in enumerate(edges):
        best = [max(group, key=lambda index: float(logs[edge, index])) for group in prices]
        longer: dict[_Way, tuple[float, Edges]] = {}
        for way, (score, picks) in found.items():
            options = []
            if len(picks) + len(edges) - place - 1 >= keep:  # enough edges are left
                options.append((way, score, picks))
            if len(picks) < keep:
                for price, index in enumerate(best):
                    name = space.operations[index]
                    one = tuple(int(price == position) for position in range(len(prices)))
                    key = way + _Way(one, inner & {source} if name != "none" else frozenset())
                    options.append((key, score + float(logs[edge, index]), (*picks, (name, source))))
            for key, total, chosen in options:
                if key not in longer or total > longer[key][0]:
                    longer[key] = (total, chosen)
        found = longer
    return {way: filled for way, filled in found.items() if len(filled[1]) == keep}


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


def _widths(architecture: Architecture) -> Iterator[tuple[tuple[int, ...], float]]:
    """Places of the blocks' widths and their log-probability, the likeliest first; one empty row without a search."""
    p = architecture.width_probabilities()
    if p is None:
        yield (), 0.0
        return
    logs = p.detach().double().log().numpy()
    combinations = list(itertools.product(range(logs.shape[1]), repeat=len(logs)))
    scores = np.array([logs[range(len(logs)), list(places)].sum() for places in combinations])
    for place in np.argsort(-scores, kind="stable"):
        yield combinations[int(place)], float(scores[place])


def _allowed(budgets: Sequence[Budget], costs: Sequence[NDArray[np.float64]], used: float) -> NDArray[np.bool_]:
    """Where every cost is within its limit, and at least one uses this share of it."""
    pairs = list(zip(costs, budgets, strict=True))
    within = np.logical_and.reduce([cost <= budget.most for cost, budget in pairs], initial=True)
    share = np.logical_or.reduce([cost >= used * budget.most for cost, budget in pairs], initial=not used)
    return np.asarray(within & share)


def _costs(
    budget: Budget, prices: Sequence[Sequence[int]], counts: NDArray[np.int64], depths: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Cost of each cell at each combination of depths."""
    of_price = budget.table.operations.numpy()[:, [group[0] for group in prices]]
    beside = budget.table.overhead.numpy()[np.arange(depths.shape[1]), depths - 1].sum(axis=1)
    costs: NDArray[np.float64] = counts @ (depths @ of_price).T + beside + float(budget.table.fixed)
    return costs
