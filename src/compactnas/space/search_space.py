"""The search space: the macro network, and the edges and operations that a cell or a chain of layers may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from compactnas.errors import UserError
from compactnas.space.genotype import MAX_BLOCKS, MAX_CHANNELS, MAX_DEPTH, MAX_NODES, Genotype, full_widths
from compactnas.space.layer_rows import AlphaPer, LayerRows
from compactnas.space.layout import Layout
from compactnas.space.layouts import LAYOUTS, with_widths
from compactnas.space.operation_specs import DARTS_OPERATIONS, NONE, OPERATIONS, require_reductions

CELL_NODES, FIRST_CHANNELS = 4, 16
"""Defaults of `nodes` and `channels`."""


Edges = tuple[tuple[str, int], ...]
"""Incoming edges of a node: operation and source."""

MOST = {"nodes": MAX_NODES, "channels": MAX_CHANNELS, "blocks": MAX_BLOCKS, "max_depth": MAX_DEPTH}
"""Limits of a space, the same as those of a genotype."""


@dataclass(frozen=True)
class Space:
    """Search space: the networks that a search chooses from (paper, section 3, "Cells and Depth Search Space").

    Attributes:
        layout: Macro network: `paper`, `lean`, `nasnet` or `mobile` (docs/layouts.md).
        channels: Number of channels of the first block, C of the paper.
        nodes: Number of nodes of a cell as the paper counts them (the single input is one).
        blocks: Number of blocks of cells; a reduction lies between two blocks.
        min_depth: Smallest number of cells in a block.
        max_depth: Largest number of cells in a block.
        operations: Candidate operations of each edge; by default those of the layout.
        inputs_per_node: Number of edges that each node keeps in the derived network, T of the paper; 0 keeps all edges
            and allows `none`. A layer has one edge.
        widths: Candidate widths of each block, as rising shares of its channels that end with 1 (TAS;
            docs/strategies.md); empty if widths are not searched for.
        channels_by_block: Number of channels of each block in the mobile layout, in place of C, 2C, 4C; empty takes
            these.
        alpha_per: Rows of alpha in the mobile layout: one for each `block`, or one for each `layer`.
    """

    layout: str = "paper"
    channels: int = FIRST_CHANNELS
    nodes: int = CELL_NODES
    blocks: int = 3
    min_depth: int = 1
    max_depth: int = 5
    operations: tuple[str, ...] = DARTS_OPERATIONS
    inputs_per_node: int = 2
    widths: tuple[float, ...] = ()
    channels_by_block: tuple[int, ...] = ()
    alpha_per: AlphaPer = "block"

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise UserError(f"space.layout: {self.layout!r} is unknown; use one of {', '.join(LAYOUTS)}")
        layout = self.layout_of
        if self.operations == DARTS_OPERATIONS:  # the default of other layouts
            object.__setattr__(self, "operations", layout.operations)
        for name in self.operations:
            OPERATIONS.require(name, "space.operations")
        if len(set(self.operations)) != len(self.operations) or not self.operations:
            raise UserError("space.operations: name at least one operation, and each only once")
        if set(self.operations) == {NONE}:
            raise UserError("space.operations: `none` alone computes nothing; add an operation")
        if not layout.residual and self.computed < 1:
            raise UserError(f"space.nodes: {self.nodes} leaves no computed node; use at least 2")
        if not layout.residual and self.nodes < layout.least_nodes:
            raise UserError(
                f"space.nodes: {self.nodes}; the {self.layout} layout needs at least {layout.least_nodes}, "
                f"{layout.why_least}"
            )
        if 1 <= self.channels < layout.least_channels:
            raise UserError(
                f"space.channels: {self.channels}; the {self.layout} layout, {layout.why_least}, needs at least "
                f"{layout.least_channels}"
            )
        if not 1 <= self.min_depth <= self.max_depth:
            raise UserError(f"space.min_depth: {self.min_depth} is outside 1 to max_depth={self.max_depth}")
        for name, most in MOST.items():
            if not 1 <= getattr(self, name) <= most:
                raise UserError(f"space.{name}: {getattr(self, name)} is outside 1 to {most}")
        if self.inputs_per_node < 0:
            raise UserError(f"space.inputs_per_node: {self.inputs_per_node} is negative; 0 keeps all edges")
        self._check_layers()
        self._check_channels_by_block()
        if self.widths:
            self._check_widths()

    def _check_layers(self) -> None:
        if self.layout_of.residual:
            if self.nodes != CELL_NODES:
                raise UserError(
                    f"space.nodes: {self.nodes}; the {self.layout} layout has layers, not cells; leave space.nodes out"
                )
            require_reductions(
                self.operations, self.layout_of.operations, f"space.operations: the {self.layout} layout"
            )
        elif self.alpha_per != "block":
            raise UserError(
                f"space.alpha_per: {self.alpha_per}; all cells of the {self.layout} layout share alpha; leave "
                "space.alpha_per out, or use space.layout=mobile"
            )

    def _check_channels_by_block(self) -> None:
        given = self.channels_by_block
        if not given:
            return
        if not self.layout_of.free_channels:
            raise UserError(
                f"space.channels_by_block: the {self.layout} layout doubles the channels in each block; give "
                "space.channels, or use space.layout=mobile"
            )
        if len(given) != self.blocks or not all(1 <= c <= MAX_CHANNELS for c in given):
            raise UserError(
                f"space.channels_by_block: {list(given)}; give a number from 1 to {MAX_CHANNELS} for each of the "
                f"{self.blocks} blocks"
            )
        if given[0] < self.layout_of.least_channels:
            raise UserError(
                f"space.channels_by_block: {list(given)}; the first block of the {self.layout} layout, "
                f"{self.layout_of.why_least}, needs at least {self.layout_of.least_channels}"
            )
        if self.channels not in (FIRST_CHANNELS, given[0]):
            raise UserError(
                f"space.channels: {self.channels}, but space.channels_by_block begins with {given[0]}; leave one out"
            )
        object.__setattr__(self, "channels", given[0])

    def _check_widths(self) -> None:
        if not self.layout_of.has_widths:
            raise UserError(
                f"space.widths: only the layouts {with_widths()} can have widths, not {self.layout}; leave them out"
            )
        if len(self.widths) < 2 or self.widths[-1] != 1 or sorted(set(self.widths)) != list(self.widths):
            raise UserError(f"space.widths: {list(self.widths)}; name two or more shares that rise to 1")
        if not self.widths[0] > 0 or any(len(set(row)) != len(row) or not row[0] for row in self.block_widths):
            raise UserError(
                f"space.widths: {list(self.widths)} of {self.channels} channels round to 0 or to equal numbers of "
                "channels; choose other shares or raise space.channels"
            )
        if (narrowest := self.block_widths[0][0]) < self.layout_of.least_channels:
            raise UserError(
                f"space.widths: {list(self.widths)} of {self.channels} channels round to {narrowest}; the "
                f"{self.layout} layout, {self.layout_of.why_least}, needs at least {self.layout_of.least_channels}"
            )

    @property
    def block_channels(self) -> tuple[int, ...]:
        """Number of channels of each block at full width."""
        return self.channels_by_block or full_widths(self.channels, self.blocks)

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
    def layers(self) -> LayerRows:
        """In a layout of layers, the row of alpha of each layer."""
        return LayerRows(self.alpha_per, (self.max_depth,) * self.blocks)

    @property
    def computed(self) -> int:
        """Number of computed nodes of a cell; in a layout of layers, the number of rows of alpha."""
        return self.layers.count if self.layout_of.residual else self.layout_of.computed(self.nodes)

    def nodes_of(self, depths: Sequence[int]) -> int:
        """Number of nodes in the genotype of a network of these depths."""
        if not self.layout_of.residual:
            return self.computed
        return LayerRows(self.alpha_per, tuple(depths)).count

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """All edges as (computed node, source state), node by node: the rows of alpha."""
        if self.layout_of.residual:
            return tuple((row, row) for row in range(self.computed))
        inputs = self.layout_of.inputs
        return tuple((node, source) for node in range(self.computed) for source in range(inputs + node))

    @property
    def edges_into(self) -> tuple[int, ...]:
        """Number of edges into each computed node."""
        return tuple(sum(n == node for n, _ in self.edges) for node in range(self.computed))

    @property
    def edges_kept(self) -> tuple[int, ...]:
        """Number of edges that each computed node keeps in a derived network."""
        return tuple(min(n, self.inputs_per_node or n) for n in self.edges_into)

    def genotype(self, nodes: Sequence[Edges], depths: tuple[int, ...], widths: tuple[int, ...] = ()) -> Genotype:
        """Make the genotype of a network of the space.

        Args:
            nodes: Incoming edges of each computed node.
            depths: Depth of each block.
            widths: Number of channels of each block, if widths are searched for.
        """
        if self.layout_of.residual:
            live = self.layers.live(depths)
            nodes = [tuple((name, node) for name, _ in nodes[row]) for node, row in enumerate(live)]
        return Genotype(tuple(nodes), depths, self.channels, self.layout, widths or self.channels_by_block)

    def with_widths(self, genotype: Genotype, places: Sequence[int]) -> Genotype:
        """Return the network at these widths, given as one index per block; empty changes nothing."""
        if not places:
            return genotype
        return replace(genotype, widths=tuple(row[w] for row, w in zip(self.block_widths, places, strict=True)))

    def operations_of(self, genotype: Genotype) -> dict[tuple[int, int], str]:
        """Return the operation of each edge of the space that a network has."""
        nodes = enumerate(genotype.nodes)
        if self.layout_of.residual:
            rows = self.layers.live(genotype.depths)
            return {(rows[node], rows[node]): name for node, edges in nodes for name, _ in edges}
        return {(node, source): name for node, edges in nodes for name, source in edges}
