"""Description of a macro network: what its blocks are made of, its fixed parts, and its limits. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from compactnas.space.operation_specs import DARTS_OPERATIONS


@dataclass(frozen=True)
class Layout:
    """A macro network: inputs and outputs of the cells, and the fixed parts.

    Attributes:
        inputs: Number of states that enter a cell: 1 is the previous cell, 2 are the two previous cells.
        output: Output of a cell: `last` is its last node, `concat` is all computed nodes.
        preprocess: Whether ReLU, 1x1 convolution and batch norm bring each input to the cell's width.
        stem_multiplier: Number of channels of the stem in units of C.
        stem: Normalisation of the stem: `batch` is batch norm; `half` is batch norm for half of the channels, and the
            mean and deviation of each patch for the others, which needs two channels or more.
        stem_relu: Whether ReLU follows it.
        head: What comes before the mean over the map: `batch` is batch norm and ReLU, `relu` is ReLU alone.
        reduction: Reduction between two blocks: `basic` is the residual block of stride 2 of NAS-Bench-201,
            `separable` is the same with separable convolutions, `factorized` is the fixed reduction cell of GDAS,
            `searched` is an operation of the block that follows, at stride 2.
        residual: Whether a block is a chain of layers instead of cells. A layer is the identity plus one operation.
        free_channels: Whether the number of channels of each block can be chosen freely.
        has_widths: Whether the widths of the blocks can be searched for.
        least_nodes: Smallest number of nodes of a cell.
        least_channels: Smallest number of channels of the first block.
        why_least: Reason for the last two, for messages.
        operations: Candidate operations by default.
    """

    inputs: int
    output: Literal["last", "concat"]
    preprocess: bool = False
    stem_multiplier: int = 1
    stem: Literal["batch", "half"] = "batch"
    stem_relu: bool = False
    head: Literal["batch", "relu"] = "batch"
    reduction: Literal["basic", "separable", "factorized", "searched"] = "basic"
    residual: bool = False
    free_channels: bool = False
    has_widths: bool = False
    least_nodes: int = 1
    least_channels: int = 1
    why_least: str = ""
    operations: tuple[str, ...] = DARTS_OPERATIONS

    def computed(self, nodes: int) -> int:
        """Number of computed nodes of a cell of `nodes` nodes; the paper counts its single input as a node."""
        return nodes - 1 if self.inputs == 1 else nodes

    def output_multiplier(self, computed: int) -> int:
        """Number of channels that leave a cell, in units of the cell's width."""
        return computed if self.output == "concat" else 1
