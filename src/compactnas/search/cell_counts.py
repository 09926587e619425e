"""The most probable cell for each way to spread its edges over groups of operations that cost the same.

The cost of a network depends only on how many edges of its cell have an operation of each group, and on its depths.
So derivation within a budget counts cells instead of trying all of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import comb
from operator import add
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from compactnas.cost.constraints import Budget
from compactnas.errors import UserError
from compactnas.search.architecture import Architecture
from compactnas.search.skip_limit import SkipLimit
from compactnas.space.operation_specs import NONE
from compactnas.space.search_space import Space

MOST_CELLS = 200_000
"""Most ways to spread the edges of a cell over the groups that are counted."""

MOST_LIVE = 50_000
"""The same, times the number of sets of nodes that are read. In larger spaces, dead nodes are not searched for."""

Group = Sequence[int]
"""Indices of operations that cost the same in every block and that a skip limit treats alike."""

Scores = Float[Tensor, "edges operations"]
"""Score of each operation of each edge; a network's score is their sum over its edges."""

Edges = tuple[tuple[str, int], ...]
"""Incoming edges of a node: operation and source."""


class Cells(NamedTuple):
    """The most probable cell of each way to spread its edges and to read its nodes.

    Attributes:
        counts: Number of edges of each group, (cells, groups).
        scores: Log-probabilities, (cells,).
        live: Whether the output depends on every node, (cells,).
        nodes: The cells themselves.
    """

    counts: NDArray[np.int64]
    scores: NDArray[np.float64]
    live: NDArray[np.bool_]
    nodes: list[tuple[Edges, ...]]


class _Way(NamedTuple):
    """One way to fill a node, or the first nodes of a cell.

    Attributes:
        counts: Number of edges of each group.
        read: Inner states that some node reads.
    """

    counts: tuple[int, ...]
    read: frozenset[int]

    def __add__(self, other: object) -> _Way:
        assert isinstance(other, _Way)
        return _Way(tuple(map(add, self.counts, other.counts)), self.read | other.read)


def groups_of(space: Space, budgets: Sequence[Budget], limit: SkipLimit | None) -> list[Group]:
    """Group the operations that may be derived by cost and by whether the limit counts them."""
    groups: dict[tuple[float, ...], list[int]] = {}
    for index, name in enumerate(space.operations):
        if name != NONE or not space.inputs_per_node:
            column = tuple(float(v) for budget in budgets for v in budget.table.operations[:, index])
            limited = float(limit is not None and name in limit.operations)
            groups.setdefault((limited, *column), []).append(index)
    return list(groups.values())


def count_cells(
    architecture: Architecture, groups: Sequence[Group], limit: SkipLimit | None, scores: Scores | None = None
) -> Cells:
    """Find the most probable cell of each way to spread its edges over the groups, or the one with the best scores.

    Raises:
        UserError: The cell has too many edges to count its cells.
    """
    space = architecture.space
    kept = sum(space.edges_kept)
    if (shares := comb(kept + len(groups) - 1, kept)) > MOST_CELLS:
        raise UserError(
            f"space: a cell keeps {kept} edges, and its operations have {len(groups)} different costs: too many "
            "combinations for a budget; lower space.nodes or space.inputs_per_node"
        )
    inner = _inner_states(space)
    if shares * 2 ** len(inner) > MOST_LIVE:
        inner = frozenset()
    logs = (architecture.probabilities().detach().double().log() if scores is None else scores).numpy()
    found: dict[_Way, tuple[float, tuple[Edges, ...]]] = {_Way((0,) * len(groups), frozenset()): (0.0, ())}
    for node in range(space.computed):
        edges = [(e, source) for e, (n, source) in enumerate(space.edges) if n == node]
        ways = _ways(edges, logs, groups, space, inner)
        longer: dict[_Way, tuple[float, tuple[Edges, ...]]] = {}
        for (before, (score, nodes)), (way, (own, picks)) in itertools.product(found.items(), ways.items()):
            key = before + way
            if key not in longer or score + own > longer[key][0]:
                longer[key] = (score + own, (*nodes, picks))
        found = longer
    if limit is not None:
        limited = [place for place, group in enumerate(groups) if space.operations[group[0]] in limit.operations]
        found = {key: cell for key, cell in found.items() if sum(key.counts[place] for place in limited) <= limit.most}
    return Cells(
        np.array([key.counts for key in found], np.int64).reshape(len(found), len(groups)),
        np.array([score for score, _ in found.values()]),
        np.array([key.read >= inner for key in found], bool),
        [nodes for _, nodes in found.values()],
    )


def _inner_states(space: Space) -> frozenset[int]:
    """List the states that some node must read if the output is to depend on all nodes."""
    layout = space.layout_of
    if layout.output != "last":
        return frozenset()
    return frozenset(range(layout.inputs, layout.inputs + space.computed - 1))


def _ways(
    edges: Sequence[tuple[int, int]],
    logs: NDArray[np.float64],
    groups: Sequence[Group],
    space: Space,
    inner: frozenset[int],
) -> dict[_Way, tuple[float, Edges]]:
    """Find the most probable way to fill one node for each spread over the groups and each set of states read."""
    keep = min(len(edges), space.inputs_per_node or len(edges))
    nothing = (0,) * len(groups)
    ones = [tuple(int(group == position) for position in range(len(groups))) for group in range(len(groups))]
    found: dict[_Way, tuple[float, Edges]] = {_Way(nothing, frozenset()): (0.0, ())}
    for place, (edge, source) in enumerate(edges):
        best = [max(group, key=lambda index: float(logs[edge, index])) for group in groups]
        longer: dict[_Way, tuple[float, Edges]] = {}
        for way, (score, picks) in found.items():
            options = []
            if len(picks) + len(edges) - place - 1 >= keep:  # enough edges are left
                options.append((way, score, picks))
            if len(picks) < keep:
                for one, index in zip(ones, best, strict=True):
                    name = space.operations[index]
                    key = way + _Way(one, inner & {source} if name != NONE else frozenset())
                    options.append((key, score + float(logs[edge, index]), (*picks, (name, source))))
            for key, total, chosen in options:
                if key not in longer or total > longer[key][0]:
                    longer[key] = (total, chosen)
        found = longer
    return {way: filled for way, filled in found.items() if len(filled[1]) == keep}
