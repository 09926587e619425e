"""The one backbone of supernet and final network: stem, blocks of cells or layers, reductions, head."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from compactnas.nn.cell import Cell, CellPlan
from compactnas.nn.layer import Layer, SearchedReduction
from compactnas.nn.normalise import Normalise, Patches
from compactnas.nn.norms import HalfInstanceNorm
from compactnas.nn.reductions import BasicReduction, CellReduction
from compactnas.nn.sample import Sample
from compactnas.nn.slimmable import combined, narrowed
from compactnas.nn.state import Map, State

Logits = Float[Tensor, "batch classes"]


class Backbone(nn.Module):
    """Stem, blocks of cells or layers with a reduction between two of them, head.

    Args:
        plan: Plan of the cells or layers.
        depths: Number of cells or layers in each block.
        channels: Number of channels of each block.
        bands: Number of bands of the patches.
        classes: Number of classes.
    """

    def __init__(
        self, plan: CellPlan, depths: Sequence[int], channels: Sequence[int], bands: int, classes: int
    ) -> None:
        super().__init__()
        layout, fixed = plan.layout, plan.fixed
        self.pair = layout.inputs == 2
        multiplier = layout.output_multiplier(plan.nodes)
        width = layout.stem_multiplier * channels[0]
        self.normalise = Normalise(bands)
        self.stem = nn.Sequential(
            nn.Conv2d(bands, width, 3, padding=1, bias=False),
            HalfInstanceNorm(width, fixed) if layout.stem == "half" else fixed(width),
            *[nn.ReLU(inplace=True)] * layout.stem_relu,
        )
        self.blocks = nn.ModuleList()
        self.reductions = nn.ModuleList()
        flow = [(width, False)] * layout.inputs
        for block, (depth, c) in enumerate(zip(depths, channels, strict=True)):
            if block:
                narrow = flow[-1][0]
                self.reductions.append(_reduction(plan, block, narrow, c))
                flow = [*[(w, True) for w, _ in flow[1:]], (4 * c if self.pair else c, False)]
            cells = nn.ModuleList()
            for place in range(depth):
                if plan.layers is not None:
                    cells.append(Layer(plan, plan.layers.layer(block, place), c))
                else:
                    cells.append(Cell(plan, flow, c))
                flow = [*flow[1:], (multiplier * c, False)]
            self.blocks.append(cells)
        width = flow[-1][0]
        norm = [fixed(width)] * (layout.head == "batch")
        self.head = nn.Sequential(*norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))

    def forward(self, x: Patches, sample: Sample) -> Logits:
        """Compute logits of raw patches, in the units that `normalise` was measured in."""
        x = self._last_map(x, sample)
        logits: Tensor = self.head(x) if sample.widths is None else narrowed(self.head, x)
        return logits

    def _last_map(self, x: Patches, sample: Sample) -> Float[Tensor, "batch features rows columns"]:
        patches = State(self.normalise(x))
        stem = patches if sample.widths is not None else State(self.stem(patches.x))
        states = [stem, stem] if self.pair else [stem]
        for block in range(len(self.blocks)):
            states = self._level(block, states, sample)
        return states[-1].x

    def _level(self, block: int, states: list[State], sample: Sample) -> list[State]:
        """Run one block, after the reduction to its size unless it is the first."""
        if sample.widths is not None:
            results = [self._at_width(block, states, sample, width) for width in sample.widths[block]]
            weights = None if sample.width_weights is None else sample.width_weights[block]
            return [State(combined(results, weights))]
        if block:
            states = [*states[1:], State(self._reduced(block, states, sample))]
        return self._block(self.blocks[block], states, sample, block)

    def _at_width(self, block: int, states: list[State], sample: Sample, width: int) -> Map:
        """Run the stem or the reduction before a block, and the block, at a number of channels."""
        (state,) = states
        x = self._reduced(block, [state], sample, width) if block else narrowed(self.stem, state.x, width)
        return self._block(self.blocks[block], [State(x)], sample, block)[0].x

    def _reduced(self, block: int, states: list[State], sample: Sample, *width: int) -> Map:
        """Run the reduction before a block, at a smaller number of channels if `width` is given."""
        reduction = self.reductions[block - 1]
        last = [sample] if isinstance(reduction, SearchedReduction) else []
        result: Map = reduction(*states, *last, *width)
        return result

    @staticmethod
    def _block(cells: nn.Module, states: list[State], sample: Sample, block: int) -> list[State]:
        """Run the cells of one block; with a mix, mix each output over the depths."""
        history: list[list[State]] = []
        for cell in list(cells.children())[: sample.depths[block]]:
            states = [*states[1:], cell(states, sample)]
            history.append(states)
        width = states[-1].channels
        if sample.mix is None:
            return [_widen(state, width) for state in states]
        mixed = zip(*history, strict=True)
        return [State(sample.mix([_widen(state, width).x for state in column], block)) for column in mixed]


def _reduction(plan: CellPlan, block: int, channels_in: int, channels: int) -> nn.Module:
    if plan.layers is not None:
        return SearchedReduction(plan, plan.layers.reduction(block), (channels_in, channels))
    if plan.layout.reduction == "factorized":
        return CellReduction(channels_in, channels, plan.fixed)
    return BasicReduction(channels_in, channels, plan.fixed, separable=plan.layout.reduction == "separable")


def _widen(state: State, channels: int) -> State:
    """Pad with zero channels: the NASNet-like stem is narrower than the output of a cell."""
    missing = channels - state.channels
    return state if missing == 0 else State(F.pad(state.x, (0, 0, 0, 0, 0, missing)))
