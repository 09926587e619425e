"""Latency as a cost: a table of the latency of each operation at each shape of a space, measured on a device.

`compactnas.exporting.latency` measures the table, and a search with `search.max_latency_ms` reads it. The search may
run on another device.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from compactnas.config import from_values
from compactnas.cost.table import CostTable
from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_json
from compactnas.space.operation_specs import OPERATIONS
from compactnas.space.search_space import Space

MAKE = "make one with `compactnas latency`"

LONGEST_NS = 10**15
"""Largest cost in a table: twelve days."""


@dataclass(frozen=True)
class LatencyTable:
    """Latency of one call in nanoseconds, as a sum over the choices of a network.

    Attributes:
        device: Name of the measured device.
        engine: `onnx` (onnxruntime) or `torch`.
        threads: Number of threads of the engine.
        batch: Number of patches in a call.
        layout: Layout of the space.
        channels: Number of channels of the space's first block.
        blocks: Number of blocks of the space.
        nodes: Number of nodes of a cell of the space; the width of a NASNet-like cell depends on it.
        operations: Names of the operations, the columns of `operations_ns`.
        bands: Number of bands of a patch.
        classes: Number of classes.
        patch_px: Side of a patch.
        operations_ns: Time of each operation on one edge in one cell of each block, (blocks, operations).
        overhead_ns: Time of a block's cells besides their edges, at each depth from 1, (blocks, depths).
        fixed_ns: Time of the call itself, stem, reductions and head.
        networks: Number of whole networks that were measured as a check.
        median_error: Median relative error of the predicted times of these networks. Each prediction is fitted to the
            other networks.
        worst_error: Largest of these errors.
    """

    device: str
    engine: str
    threads: int
    batch: int
    layout: str
    channels: int
    blocks: int
    nodes: int
    operations: tuple[str, ...]
    bands: int
    classes: int
    patch_px: int
    operations_ns: tuple[tuple[int, ...], ...]
    overhead_ns: tuple[tuple[int, ...], ...]
    fixed_ns: int
    networks: int = 0
    median_error: float = 0.0
    worst_error: float = 0.0

    def __post_init__(self) -> None:
        for name in self.operations:
            OPERATIONS.require(name, "operations")
        sizes = [len(row) for row in self.operations_ns]
        if sizes != [len(self.operations)] * self.blocks:
            raise UserError(f"operations_ns: expected {self.blocks} rows of {len(self.operations)} values")
        depths = {len(row) for row in self.overhead_ns}
        if len(self.overhead_ns) != self.blocks or len(depths) != 1 or not min(depths):
            raise UserError(f"overhead_ns: expected {self.blocks} rows with a value for each depth")
        values = [
            self.fixed_ns,
            *(value for rows in (self.operations_ns, self.overhead_ns) for row in rows for value in row),
        ]
        if not all(0 <= value <= LONGEST_NS for value in values):
            raise UserError(f"operations_ns, overhead_ns, fixed_ns: a value is outside 0 to {LONGEST_NS}")

    @classmethod
    def read(cls, file: str | Path) -> LatencyTable:
        """Read the table from a file.

        Raises:
            UserError: The file is not a latency table.
        """
        values: Any = read_json(Path(file), MAKE)
        if not isinstance(values, dict):
            raise UserError(f"{file}: not a latency table; {MAKE}")
        try:
            return from_values(cls, values)
        except (TypeError, UserError) as error:
            raise UserError(f"{file}: not a latency table ({' '.join(str(error).split())[:200]}); {MAKE}") from None

    @property
    def compiled(self) -> bool:
        """True if the engine leaves out dead nodes."""
        return self.engine == "onnx"

    def write(self, file: Path) -> None:
        """Write the table as JSON."""
        write_json(file, asdict(self))

    def cost_table(self, space: Space, max_depth: int, bands: int, classes: int, patch_px: int) -> CostTable:
        """Return the costs of a space's choices, in nanoseconds.

        Args:
            space: Search space.
            max_depth: Largest depth of a block.
            bands: Number of bands of the patches.
            classes: Number of classes.
            patch_px: Side of a patch.

        Raises:
            UserError: The table was measured for another space or other patches.
        """
        if space.widths:
            raise UserError(
                "search.latency_table: holds full widths only; leave out space.widths, or limit MACs or parameters"
            )
        asked = {
            "layout": space.layout,
            "channels": space.channels,
            "blocks": space.blocks,
            "nodes": space.nodes,
            "bands": bands,
            "classes": classes,
            "patch_px": patch_px,
        }
        for name, value in asked.items():
            if getattr(self, name) != value:
                raise UserError(
                    f"search.latency_table: was measured for {name}={getattr(self, name)}, but the search has {value}; "
                    "measure again with `compactnas latency`"
                )
        missing = [name for name in space.operations if name not in self.operations]
        if missing or max_depth > len(self.overhead_ns[0]):
            what = f"operation {missing[0]}" if missing else f"depth {max_depth}"
            raise UserError(f"search.latency_table: has no {what}; measure again with `compactnas latency`")
        columns = [self.operations.index(name) for name in space.operations]
        return CostTable(
            torch.tensor(self.operations_ns, dtype=torch.float64)[:, columns],
            torch.tensor(self.overhead_ns, dtype=torch.float64)[:, :max_depth],
            self.fixed_ns,
        )
