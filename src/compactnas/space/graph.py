"""Reachability in a cell: states that an input reaches, and states that the output uses."""

from __future__ import annotations

from collections.abc import Sequence

from compactnas.space.operation_specs import NONE

Nodes = Sequence[Sequence[tuple[str, int]]]
"""For each computed node, its incoming edges as (operation, source state)."""


def reachable_states(nodes: Nodes, inputs: int) -> frozenset[int]:
    """States that are reachable from a cell input by edges other than `none`, the inputs themselves included."""
    reached = set(range(inputs))
    for state, edges in enumerate(nodes, inputs):  # sources have lower numbers than their nodes
        if any(name != NONE and source in reached for name, source in edges):
            reached.add(state)
    return frozenset(reached)


def used_states(nodes: Nodes, inputs: int, outputs: Sequence[int]) -> frozenset[int]:
    """States from which an output state is reachable by edges other than `none`, the outputs themselves included."""
    used = set(outputs)
    for state in reversed(range(inputs, inputs + len(nodes))):
        if state in used:
            used |= {source for name, source in nodes[state - inputs] if name != NONE}
    return frozenset(used)
