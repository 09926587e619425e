"""The one backbone and the one cell that both the supernet and the final network are made of.

A sampled architecture is an argument of the forward pass (`Sample`). The final network is the
backbone with one candidate on each edge and always the same sample (paper, figure 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from compactnas.nn.operations import (
    BasicReduction,
    CellReduction,
    FactorizedReduction,
    HalfInstanceNorm,
    Norm,
    Preprocess,
    Separable,
    State,
    Zero,
    build_operation,
    final_norm,
)
from compactnas.nn.slimmable import combined, first_channels, narrowed
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import LAYOUTS, Layout

Map = Float[Tensor, "batch channels height width"]
Patches = Float[Tensor, "batch bands height width"]
Logits = Float[Tensor, "batch classes"]

Mix = Callable[[Sequence[Tensor], int], Tensor]
"""Makes a block's output of the outputs of its cells that ran."""


class Mixture(NamedTuple):
    """Several candidates of each edge, side by side.

    Attributes:
        candidates: for each edge, those that run.
        weights: of each, with a path to alpha.
        gates: whether the weights are gates: one for the candidate of the sample's path and zero for the others, which
            then run for the gradient of their gate alone.
    """

    candidates: tuple[tuple[int, ...], ...]
    weights: Float[Tensor, "edges operations"]
    gates: bool = False


class Sample(NamedTuple):
    """One architecture drawn from the space: what a forward pass runs.

    Attributes:
        path: for each edge, the index of the candidate that runs; -1, none does.
        depths: for each block, the number of cells that run.
        weights: for each edge, the weight of its operation: one in value, with a path to alpha.
            None where nothing leads back to alpha.
        silent: for each edge, the sum of the weights of the operations that do not run: zero in
            value, added to the node that the edge leads to. None: they get no gradient.
        mix: called with the outputs of a block's cells and the block's number; None takes the last.
        mixture: candidates that run side by side; None runs the path alone.
        widths: for each block, the numbers of channels at which it runs, one after the other; None, at all of its own.
        width_weights: for each block, the weight of its result at each of these; None where there is one.
    """

    path: tuple[int, ...]
    depths: tuple[int, ...]
    weights: Float[Tensor, "edges"] | None = None
    silent: Float[Tensor, "edges"] | None = None
    mix: Mix | None = None
    mixture: Mixture | None = None
    widths: tuple[tuple[int, ...], ...] | None = None
    width_weights: Float[Tensor, "blocks drawn"] | None = None


class Normalise(nn.Module):
    """Standardises each band with the training part's mean and deviation, which travel with the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(bands, 1, 1))
        self.register_buffer("std", torch.ones(bands, 1, 1))

    def set(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Take these figures, one for each band."""
        self.mean.copy_(torch.tensor(mean).view(-1, 1, 1))
        self.std.copy_(torch.tensor(std).view(-1, 1, 1))

    def forward(self, x: Patches) -> Patches:
        return (x - self.mean) / self.std


class Cell(nn.Module):
    """A directed acyclic graph of operations (paper, section 3, "Cells and Depth Search Space").

    Args:
        layout: how the cell takes its inputs and gives its output.
        edges: (computed node, source state) of each edge, node by node.
        candidates: names of the operations of each edge.
        inputs: for each input, its channels and whether it is still at twice the cell's size.
        channels: of each node.
        nodes: computed nodes.
        norm: normalisation of the candidates.
        fixed: normalisation of the preprocessing.
    """

    def __init__(
        self,
        layout: Layout,
        edges: Sequence[tuple[int, int]],
        candidates: Sequence[Sequence[str]],
        inputs: Sequence[tuple[int, bool]],
        channels: int,
        nodes: int,
        norm: Norm,
        fixed: Norm,
    ) -> None:
        super().__init__()
        self.concat = layout.output == "concat"
        self.incoming = [[(e, source) for e, (node, source) in enumerate(edges) if node == i] for i in range(nodes)]
        self.edges = nn.ModuleList(
            nn.ModuleList(build_operation(name, channels, norm) for name in names) for names in candidates
        )
        self.preprocess: nn.ModuleList | None = None
        if layout.preprocess:
            self.preprocess = nn.ModuleList(
                FactorizedReduction(width, channels, fixed) if larger else Preprocess(width, channels, fixed)
                for width, larger in inputs
            )

    def forward(self, inputs: Sequence[State], sample: Sample) -> State:
        """Run the sampled operations of each edge; a node is the sum of its edges."""
        states = list(inputs)
        if self.preprocess is not None:
            states = [State(module(state)) for module, state in zip(self.preprocess, inputs, strict=True)]
        first = len(states)
        for incoming in self.incoming:
            if sample.mixture is None:
                states.append(State(self._node(incoming, states, sample)))
            else:
                states.append(State(self._mixed(incoming, states, sample.path, sample.mixture)))
        return State(*states[first:]) if self.concat else states[-1]

    def _node(self, incoming: Sequence[tuple[int, int]], states: Sequence[State], sample: Sample) -> Map:
        node: Tensor | None = None
        for edge, source in incoming:
            if sample.path[edge] < 0:
                continue
            operation = self.edges[edge][sample.path[edge]]  # type: ignore[index]  # ModuleList of ModuleLists
            if not isinstance(operation, Zero):
                y = operation(states[source], None if sample.weights is None else sample.weights[edge])
                node = y if node is None else node + y
        if node is None:
            node = torch.zeros_like(states[0].x)
            if sample.weights is not None:  # the product with zero, so that alpha gets the gradient zero
                node = node * sample.weights[incoming[0][0]]
        if sample.silent is not None:
            node = node + sum(sample.silent[edge] for edge, _ in incoming)
        return node

    def _mixed(
        self, incoming: Sequence[tuple[int, int]], states: Sequence[State], path: Sequence[int], mixture: Mixture
    ) -> Map:
        """A node of which each edge runs several candidates: the sum of their outputs, each times its weight."""
        node: Tensor | None = None
        for edge, source in incoming:
            for index in mixture.candidates[edge]:
                operation = self.edges[edge][index]  # type: ignore[index]  # ModuleList of ModuleLists
                if isinstance(operation, Zero):  # adds zero, and gets the gradient zero
                    continue
                weight = mixture.weights[edge, index]
                if mixture.gates and index != path[edge]:
                    y = weight * operation(State(states[source].x.detach()))
                elif mixture.gates or isinstance(operation, Separable):
                    y = operation(states[source], weight)
                else:  # these take a weight for one
                    y = weight * operation(states[source])
                node = y if node is None else node + y
        return torch.zeros_like(states[0].x) * mixture.weights[incoming[0][0], 0] if node is None else node


class Backbone(nn.Module):
    """Stem, blocks of cells with a fixed reduction between two of them, head.

    Args:
        layout: the macro network.
        edges: edges of every cell.
        candidates: names of the operations of each edge.
        nodes: computed nodes of a cell.
        depths: cells built in each block.
        channels: of each block.
        bands: of the patches.
        classes: of the answer.
        norm: normalisation of the candidates.
        fixed: normalisation of everything else.
    """

    def __init__(
        self,
        layout: Layout,
        edges: Sequence[tuple[int, int]],
        candidates: Sequence[Sequence[str]],
        nodes: int,
        depths: Sequence[int],
        channels: Sequence[int],
        bands: int,
        classes: int,
        norm: Norm,
        fixed: Norm,
    ) -> None:
        super().__init__()
        self.pair = layout.inputs == 2
        multiplier = layout.output_multiplier(nodes)
        width = layout.stem_multiplier * channels[0]
        self.normalise = Normalise(bands)
        norm_of_stem = HalfInstanceNorm(width, fixed) if layout.stem == "half" else fixed(width)
        self.stem = nn.Sequential(nn.Conv2d(bands, width, 3, padding=1, bias=False), norm_of_stem)
        self.blocks = nn.ModuleList()
        self.reductions = nn.ModuleList()
        flow = [(width, False)] * layout.inputs
        for block, (depth, c) in enumerate(zip(depths, channels, strict=True)):
            if block:
                narrow = flow[-1][0]
                self.reductions.append(_reduction(layout, narrow, c, fixed))
                flow = [*[(w, True) for w, _ in flow[1:]], (4 * c if self.pair else c, False)]
            cells = nn.ModuleList()
            for _ in range(depth):
                cells.append(Cell(layout, edges, candidates, flow, c, nodes, norm, fixed))
                flow = [*flow[1:], (multiplier * c, False)]
            self.blocks.append(cells)
        width = flow[-1][0]
        self.head = nn.Sequential(
            fixed(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)
        )

    def forward(self, x: Patches, sample: Sample) -> Logits:
        """Logits of raw patches (reflectance, or whatever `normalise` was measured on)."""
        states = self.enter(x)
        for block in range(len(self.blocks)):
            states = self.level(block, states, sample)
        x = states[-1].x
        logits: Tensor = self.head(x) if sample.widths is None else narrowed(self.head, x)
        return logits

    def enter(self, x: Patches) -> list[State]:
        """What the first block takes: the normalised pixels behind the stem."""
        stem = State(self.stem(self.normalise(x)))
        return [stem, stem] if self.pair else [stem]

    def level(self, block: int, states: list[State], sample: Sample) -> list[State]:
        """One block, behind the reduction to its size where it is not the first."""
        if sample.widths is not None:
            results = [self._at_width(block, states, sample, width) for width in sample.widths[block]]
            weights = None if sample.width_weights is None else sample.width_weights[block]
            return [State(combined(results, weights))]
        if block:
            reduced = self.reductions[block - 1](*states)
            states = [*states[1:], State(reduced)]
        return self._block(self.blocks[block], states, sample, block)

    def _at_width(self, block: int, states: list[State], sample: Sample, width: int) -> Map:
        """What leaves a block that runs at so many of its channels."""
        (state,) = states
        if block:
            state = State(self.reductions[block - 1](state, width))
        elif width < state.channels:
            state = State(first_channels(state.x, width))
        return self._block(self.blocks[block], [state], sample, block)[0].x

    @staticmethod
    def _block(cells: nn.Module, states: list[State], sample: Sample, block: int) -> list[State]:
        """Run the cells of one block; with a mix, each state that leaves is mixed over the depths."""
        history: list[list[State]] = []
        for cell in list(cells.children())[: sample.depths[block]]:
            states = [*states[1:], cell(states, sample)]
            history.append(states)
        width = states[-1].channels
        if sample.mix is None:
            return [_widen(state, width) for state in states]
        mixed = zip(*history, strict=True)
        return [State(sample.mix([_widen(state, width).x for state in column], block)) for column in mixed]


def _reduction(layout: Layout, channels_in: int, channels: int, norm: Norm) -> nn.Module:
    if layout.reduction == "factorized":
        return CellReduction(channels_in, channels, norm)
    return BasicReduction(channels_in, channels, norm, separable=layout.reduction == "separable")


def _widen(state: State, channels: int) -> State:
    """Zero channels up to this number: the NASNet-like stem is narrower than what leaves a cell."""
    missing = channels - state.channels
    return state if missing == 0 else State(F.pad(state.x, (0, 0, 0, 0, 0, missing)))


class Network(nn.Module):
    """The network that a genotype describes, to be trained and used.

    Takes raw patches (batch, bands, height, width), gives logits (batch, classes).

    Errors:
        UserError: it would be too large to be made.
    """

    def __init__(self, genotype: Genotype, bands: int, classes: int) -> None:
        super().__init__()
        genotype.require_size()
        self.genotype = genotype
        edges = [
            (node, source, name)
            for node, incoming in enumerate(genotype.nodes)
            for name, source in incoming
            if name != "none"
        ]
        self.backbone = Backbone(
            LAYOUTS[genotype.layout],
            [(node, source) for node, source, _ in edges],
            [(name,) for _, _, name in edges],
            len(genotype.nodes),
            genotype.depths,
            genotype.block_channels,
            bands,
            classes,
            norm=final_norm,
            fixed=final_norm,
        )
        self.sample = Sample(path=(0,) * len(edges), depths=genotype.depths)

    @property
    def normalise(self) -> Normalise:
        """The input's normalisation."""
        return self.backbone.normalise

    def forward(self, x: Patches) -> Logits:
        logits: Tensor = self.backbone(x, self.sample)
        return logits
