"""The search space: macro layouts, and the edges and operations that a cell may have.

`paper` is the NAS-Bench-201 macro network with the DARTS operations, `lean` is the same with cheaper fixed parts, and
`nasnet` is the NASNet-like network of GDAS and DARTS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from compactnas.errors import UserError
from compactnas.space.genotype import MAX_BLOCKS, MAX_CHANNELS, MAX_DEPTH, MAX_NODES, Genotype, full_widths
from compactnas.space.operation_specs import DARTS_OPERATIONS, NONE, OPERATIONS


@dataclass(frozen=True)
class Layout:
    """A macro network: inputs and outputs of the cells, and the fixed parts.

    Attributes:
        inputs: Number of states that enter a cell: 1 is the previous cell, 2 are the two previous cells.
        output: Output of a cell: `last` is its last node, `concat` is all computed nodes.
        preprocess: Whether ReLU, 1x1 convolution and batch norm bring each input to the cell's width.
        stem_multiplier: Number of channels of the stem in units of C.
        stem: Normalisation of the stem: `batch` is batch norm; `half` is batch norm for half of the channels, and the
            mean and deviation of each patch for the others.
        reduction: Reduction between two blocks: `basic` is the residual block of stride 2 of NAS-Bench-201,
            `separable` is the same with separable convolutions, `factorized` is the fixed reduction cell of GDAS.
    """

    inputs: int
    output: Literal["last", "concat"]
    preprocess: bool
    stem_multiplier: int
    stem: Literal["batch", "half"]
    reduction: Literal["basic", "separable", "factorized"]

    def computed(self, nodes: int) -> int:
        """Number of computed nodes of a cell of `nodes` nodes; the paper counts its single input as a node."""
        return nodes - 1 if self.inputs == 1 else nodes

    def output_multiplier(self, computed: int) -> int:
        """Number of channels that leave a cell, in units of the cell's width."""
        return computed if self.output == "concat" else 1


MOST = {"nodes": MAX_NODES, "channels": MAX_CHANNELS, "blocks": MAX_BLOCKS, "max_depth": MAX_DEPTH}
"""Limits of a space, the same as those of a genotype."""

LAYOUTS = {
    "paper": Layout(inputs=1, output="last", preprocess=False, stem_multiplier=1, stem="batch", reduction="basic"),
    "lean": Layout(inputs=1, output="last", preprocess=False, stem_multiplier=1, stem="half", reduction="separable"),
    "nasnet": Layout(
        inputs=2, output="concat", preprocess=True, stem_multiplier=3, stem="batch", reduction="factorized"
    ),
}


@dataclass(frozen=True)
class Space:
    """Search space: the networks that a search chooses from (paper, section 3, "Cells and Depth Search Space").

    Attributes:
        layout: Macro network: `paper`, `lean` or `nasnet`.
        channels: Number of channels of the first block, C of the paper.
        nodes: Number of nodes of a cell as the paper counts them (the single input is one).
        blocks: Number of blocks of cells; a fixed reduction lies between two blocks.
        min_depth: Smallest number of cells in a block.
        max_depth: Largest number of cells in a block.
        operations: Candidate operations of each edge.
        inputs_per_node: Number of edges that each node keeps in the derived network, T of the paper; 0 keeps all edges
            and allows `none`.
        widths: Candidate widths of each block, as rising shares of its channels that end with 1 (TAS;
            docs/strategies.md); empty if widths are not searched for.
    """

    layout: str = "paper"
    channels: int = 16
    nodes: int = 4
    blocks: int = 3
    min_depth: int = 1
    max_depth: int = 5
    operations: tuple[str, ...] = DARTS_OPERATIONS
    inputs_per_node: int = 2
    widths: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise UserError(f"space.layout: {self.layout!r} is unknown; use one of {', '.join(LAYOUTS)}")
        for name in self.operations:
            OPERATIONS.require(name, "space.operations")
        if len(set(self.operations)) != len(self.operations) or not self.operations:
            raise UserError("space.operations: name at least one operation, and each only once")
        if set(self.operations) == {NONE}:
            raise UserError("space.operations: `none` alone computes nothing; add an operation")
        if self.layout_of.computed(self.nodes) < 1:
            raise UserError(f"space.nodes: {self.nodes} leaves no computed node; use at least 2")
        if self.layout == "nasnet" and self.nodes < 4:
            raise UserError(
                f"space.nodes: {self.nodes}; the nasnet layout needs at least 4, the width of its reduction"
            )
        if self.layout == "lean" and self.channels == 1:
            raise UserError("space.channels: 1; the lean layout, which normalises two halves, needs at least 2")
        if not 1 <= self.min_depth <= self.max_depth:
            raise UserError(f"space.min_depth: {self.min_depth} is outside 1 to max_depth={self.max_depth}")
        for name, most in MOST.items():
            if not 1 <= getattr(self, name) <= most:
                raise UserError(f"space.{name}: {getattr(self, name)} is outside 1 to {most}")
        if self.inputs_per_node < 0:
            raise UserError(f"space.inputs_per_node: {self.inputs_per_node} is negative; 0 keeps all edges")
        if self.widths:
            self._check_widths()

    def _check_widths(self) -> None:
        if self.layout != "paper":
            raise UserError(f"space.widths: only the paper layout can have widths, not {self.layout}; leave them out")
        if len(self.widths) < 2 or self.widths[-1] != 1 or sorted(set(self.widths)) != list(self.widths):
            raise UserError(f"space.widths: {list(self.widths)}; name two or more shares that rise to 1")
        if not self.widths[0] > 0 or any(len(set(row)) != len(row) or not row[0] for row in self.block_widths):
            raise UserError(
                f"space.widths: {list(self.widths)} of {self.channels} channels round to 0 or to equal numbers of "
                "channels; choose other shares or raise space.channels"
            )

    @property
    def block_channels(self) -> tuple[int, ...]:
        """Number of channels of each block at full width."""
        return full_widths(self.channels, self.blocks)

    @property
    def block_widths(self) -> tuple[tuple[int, ...], ...]:
        """Numbers of channels of each block at its candidate widths."""
        return tuple(tuple(round(share * c) for share in self.widths) for c in self.block_channels)

    def widths_of(self, genotype: Genotype) -> tuple[int, ...]:
        """Return the index of a network's width in each block; empty if widths are not searched for.

        Raises:
            UserError: The network has a width that the space does not have.
        """
        if not self.widths:
            return ()
        for block, (width, known) in enumerate(zip(genotype.block_channels, self.block_widths, strict=True)):
            if width not in known:
                raise UserError(f"genotype: {width} channels in block {block + 1}; the space has {known}")
        return tuple(row.index(w) for w, row in zip(genotype.block_channels, self.block_widths, strict=True))

    @property
    def layout_of(self) -> Layout:
        """Macro network that `layout` names."""
        return LAYOUTS[self.layout]

    @property
    def computed(self) -> int:
        """Number of computed nodes of a cell."""
        return self.layout_of.computed(self.nodes)

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """All edges as (computed node, source state), node by node: the rows of alpha."""
        inputs = self.layout_of.inputs
        return tuple((node, source) for node in range(self.computed) for source in range(inputs + node))
