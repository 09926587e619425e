"""The one cell that both the supernet and the final network are made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from compactnas.nn.norms import Norm
from compactnas.nn.operations import build_normalized, build_operation
from compactnas.nn.reductions import FactorizedReduction, Preprocess
from compactnas.nn.sample import Sample
from compactnas.nn.state import Map, State
from compactnas.space.layer_rows import LayerRows
from compactnas.space.layout import Layout
from compactnas.space.operation_specs import NONE


class CellPlan(NamedTuple):
    """Plan that all cells of a network share.

    Attributes:
        layout: Macro network, which sets the inputs and the output of a cell.
        edges: (computed node, source state) of each edge, node by node.
        candidates: Names of the operations of each edge.
        nodes: Number of computed nodes.
        norm: Normalisation of the candidates.
        fixed: Normalisation of everything else.
        normalized: Names of the operations without weights whose output is normalised too.
        layers: In a layout of layers, the edge of each layer and of each reduction; None if blocks have cells.
    """

    layout: Layout
    edges: Sequence[tuple[int, int]]
    candidates: Sequence[Sequence[str]]
    nodes: int
    norm: Norm
    fixed: Norm
    normalized: Collection[str] = ()
    layers: LayerRows | None = None

    def build(self, name: str, channels: int) -> nn.Module:
        """Build a candidate."""
        build = build_normalized if name in self.normalized else build_operation
        return build(name, channels, self.norm)


class Cell(nn.Module):
    """A directed acyclic graph of operations (paper, section 3, "Cells and Depth Search Space").

    Args:
        plan: Edges and candidates, the same in every cell of a network.
        inputs: Channels of each input, and whether it is still at twice the cell's size.
        channels: Number of channels of each node.
    """

    def __init__(self, plan: CellPlan, inputs: Sequence[tuple[int, bool]], channels: int) -> None:
        super().__init__()
        self.concat = plan.layout.output == "concat"
        self.empty = [[name == NONE for name in names] for names in plan.candidates]
        self.incoming = [
            [(e, source) for e, (node, source) in enumerate(plan.edges) if node == i] for i in range(plan.nodes)
        ]
        self.edges = nn.ModuleList(
            nn.ModuleList(plan.build(name, channels) for name in names) for names in plan.candidates
        )
        self.preprocess: nn.ModuleList | None = None
        if plan.layout.preprocess:
            self.preprocess = nn.ModuleList(
                FactorizedReduction(width, channels, plan.fixed) if larger else Preprocess(width, channels, plan.fixed)
                for width, larger in inputs
            )

    def forward(self, inputs: Sequence[State], sample: Sample) -> State:
        """Run the sampled operations of each edge; a node is the sum of its edges."""
        states = list(inputs)
        if self.preprocess is not None:
            states = [State(module(state)) for module, state in zip(self.preprocess, inputs, strict=True)]
        first = len(states)
        for incoming in self.incoming:
            states.append(State(self._node(incoming, states, sample)))
        return State(*states[first:]) if self.concat else states[-1]

    def _node(self, incoming: Sequence[tuple[int, int]], states: Sequence[State], sample: Sample) -> Map:
        """Sum the outputs of the operations that run, each times its weight; `none` adds nothing."""
        node: Tensor | None = None
        for edge, source in incoming:
            for index in sample.candidates(edge):
                if not self.empty[edge][index]:
                    operation = self.edges[edge][index]  # type: ignore[index]  # ModuleList of ModuleLists
                    y = candidate_output(operation, edge, index, states[source], sample)
                    node = y if node is None else node + y
        if node is None:
            node = torch.zeros_like(states[0].x)
            weight = sample.weight(incoming[0][0], 0) if incoming else None
            if weight is not None:  # the product with zero, so that alpha gets the gradient zero
                node = node * weight.value
        if sample.silent is not None:
            node = node + sum(sample.silent[edge] for edge, _ in incoming)
        return node


def candidate_output(operation: Callable[..., Map], edge: int, index: int, state: State, sample: Sample) -> Map:
    """Run one candidate of an edge, times its weight; behind a closed gate, only the gate gets a gradient."""
    weight = sample.weight(edge, index)
    if weight is not None and sample.is_closed(edge, index):
        closed: Map = weight.value * operation(State(state.x.detach()))
        return closed
    result: Map = operation(state, weight)
    return result
