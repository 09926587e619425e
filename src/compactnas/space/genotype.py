"""Genotype: description of a derived network by the operation of each edge and the depth of each block.

With the numbers of bands and classes, a genotype is all that `compactnas.nn.network.Network` needs. It is read and
written as JSON; nothing in it is executed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compactnas.errors import UserError
from compactnas.io.untrusted import parse_json, read_text
from compactnas.registry import DRAWINGS
from compactnas.space.graph import reachable_states, used_states
from compactnas.space.layer_rows import LayerRows, rows_of_network
from compactnas.space.layout import Layout
from compactnas.space.layouts import LAYOUTS, with_widths
from compactnas.space.operation_specs import OPERATIONS, require_reductions

FORMAT = "compactnas-genotype/1"
MAX_BYTES = 100_000
MAX_NODES, MAX_BLOCKS, MAX_DEPTH, MAX_CHANNELS = 16, 8, 32, 1024
MAX_OPERATIONS = 4096
"""Largest number of operations in a network, edges times cells; building them takes some seconds."""
MAX_PARAMETERS = 2**27
"""Approximate largest number of weights: half a gigabyte. The largest network in the field's tables has 2**23."""


@dataclass(frozen=True)
class Genotype:
    """A derived cell with its backbone (paper, section 3: alpha = {alpha_cell, Delta}).

    Attributes:
        nodes: Incoming edges of each computed node as (operation, source state).
            States are numbered: the cell's inputs first, then the computed nodes. A layout of layers has one node for
            each block, or for each layer and reduction in their order; each reads the node before it.
        depths: Number of cells in each block, delta_i of the paper; in a layout of layers, the number of layers behind
            the reduction.
        channels: Number of channels of the first block, C of the paper; each further block doubles it.
        layout: Macro network: `paper`, `lean`, `nasnet` or `mobile`.
        widths: Number of channels of each block, if they are not C, 2C, 4C, for example because a search for widths
            made a block narrower (TAS); otherwise empty.
    """

    nodes: tuple[tuple[tuple[str, int], ...], ...]
    depths: tuple[int, ...]
    channels: int = 16
    layout: str = "paper"
    widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise UserError(f"genotype: layout {self.layout!r} is unknown; use one of {', '.join(LAYOUTS)}")
        layout = self.layout_of
        if not layout.residual and not 1 <= len(self.nodes) <= MAX_NODES:
            raise UserError(f"genotype: {len(self.nodes)} nodes; a cell has 1 to {MAX_NODES}")
        if len(self.nodes) < layout.least_nodes and not layout.residual:
            raise UserError(
                f"genotype: {len(self.nodes)} nodes; the {self.layout} layout has at least {layout.least_nodes}"
            )
        if not 1 <= len(self.depths) <= MAX_BLOCKS:
            raise UserError(f"genotype: {len(self.depths)} blocks; a network has 1 to {MAX_BLOCKS}")
        for block, depth in enumerate(self.depths):
            if not 1 <= depth <= MAX_DEPTH:
                raise UserError(f"genotype: depth {depth} of block {block + 1} is outside 1 to {MAX_DEPTH}")
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise UserError(f"genotype: {self.channels} channels is outside 1 to {MAX_CHANNELS}")
        if self.channels < layout.least_channels:
            raise UserError(
                f"genotype: {self.channels} channel; the {self.layout} layout, {layout.why_least}, has at least "
                f"{layout.least_channels}"
            )
        self._check_widths()
        self._check_edges()
        if layout.residual:
            self._check_layers()

    def _check_edges(self) -> None:
        inputs = self.inputs
        for node, edges in enumerate(self.nodes):
            if len({source for _, source in edges}) != len(edges):
                raise UserError(f"genotype: node {node} takes one state twice; name each source once")
            for operation, source in edges:
                OPERATIONS.require(operation, f"genotype: node {node}")
                if not 0 <= source < inputs + node:
                    raise UserError(f"genotype: node {node} reads state {source}; it can read 0 to {inputs + node - 1}")

    def _check_layers(self) -> None:
        """Check the nodes of a chain of layers."""
        blocks, layers = len(self.depths), LayerRows("layer", self.depths).count
        if len(self.nodes) not in (blocks, layers):
            raise UserError(
                f"genotype: {len(self.nodes)} nodes; the {self.layout} layout has one for each of its {blocks} blocks, "
                f"or one for each of its {layers} layers and reductions"
            )
        for node, edges in enumerate(self.nodes):
            if [source for _, source in edges] != [node]:
                raise UserError(f"genotype: node {node} of the {self.layout} layout has one operation, on state {node}")
        names = [name for edges in self.nodes for name, _ in edges]
        require_reductions(names, self.layout_of.operations, f"genotype: the {self.layout} layout")

    def _check_widths(self) -> None:
        if not self.widths:
            return
        if not self.layout_of.has_widths:
            raise UserError(f"genotype: only the layouts {with_widths()} can have widths, not {self.layout}")
        if len(self.widths) != len(self.depths):
            raise UserError(f"genotype: {len(self.widths)} widths for {len(self.depths)} blocks; give one for each")
        full = full_widths(self.channels, len(self.depths))
        limits = (MAX_CHANNELS,) * len(full) if self.layout_of.free_channels else full
        for block, (width, most) in enumerate(zip(self.widths, limits, strict=True)):
            least = 1 if block else self.layout_of.least_channels
            if not least <= width <= most:
                raise UserError(f"genotype: width {width} of block {block + 1} is outside {least} to {most}")
        if self.widths == full:  # one network has one genotype
            object.__setattr__(self, "widths", ())

    def _repr_html_(self) -> str:
        """Draw the cell and the network in a notebook."""
        return DRAWINGS["genotype"](self)

    @property
    def layout_of(self) -> Layout:
        """Macro network that `layout` names."""
        return LAYOUTS[self.layout]

    @property
    def rows(self) -> LayerRows:
        """For a layout of layers, the node of each layer."""
        return rows_of_network(len(self.nodes), self.depths)

    @property
    def block_channels(self) -> tuple[int, ...]:
        """Number of channels of each block."""
        return self.widths or full_widths(self.channels, len(self.depths))

    def require_size(self) -> None:
        """Check that the network is small enough to build: an untrusted genotype could ask for too much memory.

        Raises:
            UserError: The network has too many operations or weights.
        """
        edges = sum(map(len, self.nodes))
        if edges * sum(self.depths) > MAX_OPERATIONS and not self.layout_of.residual:
            raise UserError(f"genotype: {edges} edges in {sum(self.depths)} cells; at most {MAX_OPERATIONS} operations")
        pairs = list(zip(self.block_channels, self.depths, strict=True))
        if self.layout_of.residual:
            names = {name for edges in self.nodes for name, _ in edges}
            most = max(OPERATIONS[name].parameters(64) for name in names) / 64**2  # in units of C x C
            weights = sum(most * c * c * (depth + 1) for c, depth in pairs)
        else:
            # Two C x C convolutions in a separable one, 1x1 convolutions of the inputs, 3x3 ones in the reductions.
            inputs = 2 * len(self.nodes) if self.layout == "nasnet" else 0
            of_cell, of_reduction = 2 * edges + inputs, 64 if self.layout == "nasnet" else 14
            weights = sum(c * c * (depth * of_cell + of_reduction) for c, depth in pairs)
        if weights > MAX_PARAMETERS:
            raise UserError(f"genotype: about {weights:.0e} weights; a network has at most {MAX_PARAMETERS:.0e}")

    @property
    def inputs(self) -> int:
        """Number of states that enter a cell."""
        return self.layout_of.inputs

    @property
    def outputs(self) -> tuple[int, ...]:
        """States that leave a cell: its last node, or all computed nodes of the nasnet layout."""
        states = range(self.inputs, self.inputs + len(self.nodes))
        return tuple(states) if self.layout_of.output == "concat" else (states[-1],)

    @property
    def is_connected(self) -> bool:
        """Check whether the last node is reachable from a cell input."""
        return self.inputs + len(self.nodes) - 1 in reachable_states(self.nodes, self.inputs)

    @property
    def live_nodes(self) -> tuple[bool, ...]:
        """For each computed node, whether the cell's output depends on it; compilers leave out dead nodes."""
        used = used_states(self.nodes, self.inputs, self.outputs)
        return tuple(self.inputs + node in used for node in range(len(self.nodes)))

    @property
    def idle_states(self) -> frozenset[int]:
        """States that are on no path from a cell input to the cell's output."""
        used = used_states(self.nodes, self.inputs, self.outputs)
        return frozenset(range(self.inputs + len(self.nodes))) - (used & reachable_states(self.nodes, self.inputs))

    def to_json(self) -> str:
        """Return the genotype as JSON, with one node on each line and a final newline."""
        nodes = ",\n    ".join(json.dumps([list(edge) for edge in edges]) for edges in self.nodes)
        widths = f'  "widths": {json.dumps(list(self.widths))},\n' if self.widths else ""
        return (
            f'{{\n  "format": "{FORMAT}",\n  "layout": "{self.layout}",\n  "channels": {self.channels},\n'
            f'  "depths": {json.dumps(list(self.depths))},\n{widths}  "nodes": [\n    {nodes}\n  ]\n}}\n'
        )

    def to_values(self) -> dict[str, Any]:
        """Return the genotype as JSON values, for a row of a table."""
        values: dict[str, Any] = json.loads(self.to_json())
        return values

    @classmethod
    def from_json(cls, text: str, where: str = "genotype") -> Genotype:
        """Read and check a genotype; `where` names its origin in error messages."""
        if len(text) > MAX_BYTES:
            raise UserError(f"{where}: {len(text)} characters; a genotype has at most {MAX_BYTES}")
        try:
            raw = parse_json(text)
        except ValueError as error:
            raise UserError(f"{where}: not JSON ({error}); write a genotype with `compactnas search`") from None
        return cls.from_values(raw, where)

    @classmethod
    def from_values(cls, raw: Any, where: str = "genotype") -> Genotype:
        """Make a genotype from JSON or YAML values, and check it; `where` names their origin in error messages."""
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            raise UserError(f'{where}: not a genotype; its "format" must be "{FORMAT}"')
        keys = {"format", "layout", "channels", "depths", "nodes"}
        if set(raw) - {"widths"} != keys:
            odd = ", ".join(sorted(map(str, (set(raw) - {"widths"}) ^ keys)))
            raise UserError(f"{where}: missing or unknown key: {odd}")
        try:
            return cls(
                nodes=tuple(tuple(_edge(edge) for edge in _list(edges)) for edges in _list(raw["nodes"])),
                depths=tuple(_int(depth) for depth in _list(raw["depths"])),
                channels=_int(raw["channels"]),
                layout=_str(raw["layout"]),
                widths=tuple(_int(width) for width in _list(raw.get("widths", []))),
            )
        except TypeError as error:
            raise UserError(f"{where}: {error}") from None
        except UserError as error:
            raise UserError(f"{where}: {error}") from None

    @classmethod
    def load(cls, path: str | Path) -> Genotype:
        """Read a genotype file, or `genotype.json` of a run folder."""
        file = Path(path)
        if file.is_dir():
            file = file / "genotype.json"
        return cls.from_json(read_text(file, "name a genotype file or a run folder", MAX_BYTES), str(file))


def full_widths(channels: int, blocks: int) -> tuple[int, ...]:
    """Number of channels of each block if widths are not searched for: each reduction doubles it."""
    return tuple(channels * 2**block for block in range(blocks))


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, found {str(value)[:40]!r}")
    return value


def _int(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected a whole number, found {str(value)[:40]!r}")
    return value


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a name, found {str(value)[:40]!r}")
    return value


def _edge(value: Any) -> tuple[str, int]:
    pair = _list(value)
    if len(pair) != 2:
        raise TypeError(f"an edge is [operation, source], found {str(value)[:40]!r}")
    return _str(pair[0]), _int(pair[1])
