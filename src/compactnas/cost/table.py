"""What a network costs: parameters and multiply-accumulates, counted by operator.

Convention: MACs are the multiply-accumulates of convolutions and linear layers for one patch;
normalisation, activation, pooling and addition are not counted, as in the paper's tables, whose
column "FLOPs" holds MACs. Parameters are all trained weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from compactnas.nn.network import Network
from compactnas.nn.norms import Norm, candidate_norm, final_norm
from compactnas.nn.operations import build_operation
from compactnas.nn.state import State
from compactnas.space.genotype import Genotype
from compactnas.space.operation_specs import NONE
from compactnas.space.search_space import LAYOUTS, Space


@dataclass(frozen=True)
class Cost:
    """Cost of a network.

    Attributes:
        macs: multiply-accumulates of one patch.
        parameters: trained weights.
    """

    macs: int
    parameters: int

    def __str__(self) -> str:
        return f"{self.parameters / 1e6:.4f} M parameters, {self.macs / 1e6:.3f} M MACs"


def count(module: nn.Module, bands: int, patch_px: int) -> Cost:
    """Cost of a module that takes (batch, bands, patch_px, patch_px); nothing is computed for it."""
    meta = deepcopy(module).to("meta").eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        meta(torch.empty(1, bands, patch_px, patch_px, device="meta"))
    return Cost(counter.get_total_flops() // 2, sum(p.numel() for p in module.parameters()))


ELEMENT_MACS = 54.0
"""Multiply-accumulates that take as long in training as writing one element of a map: fitted on a CPU
(`benchmarks/work.py`, docs/performance.md). Pools cost no MACs, but time."""


def count_elements(module: nn.Module, bands: int, patch_px: int) -> int:
    """Elements that the layers of a module write for one patch (bands, patch_px, patch_px); nothing is computed."""
    meta, total = deepcopy(module).to("meta").eval(), 0

    def add(layer: nn.Module, given: tuple[object, ...], written: object) -> None:
        nonlocal total
        if isinstance(written, Tensor) and written is not given[0]:
            total += written.numel() * getattr(layer, "map_writes", 1)

    for layer in meta.modules():
        if not any(layer.children()):
            layer.register_forward_hook(add)
    with torch.no_grad():
        meta(torch.empty(1, bands, patch_px, patch_px, device="meta"))
    return total


def work(module: nn.Module, bands: int, patch_px: int) -> float:
    """What the time of a pass over one patch goes with: MACs, and elements of maps in the MACs that take as long."""
    return count(module, bands, patch_px).macs + ELEMENT_MACS * count_elements(module, bands, patch_px)


def genotype_cost(genotype: Genotype, bands: int, classes: int, patch_px: int) -> Cost:
    """Cost of the network that a genotype describes."""
    with torch.device("meta"):
        network = Network(genotype, bands, classes)
    return count(network, bands, patch_px)


def empty_genotype(space: Space, depths: tuple[int, ...], widths: tuple[int, ...] = ()) -> Genotype:
    """Cells that compute nothing: what is left of its network is the fixed parts."""
    return Genotype(tuple(((NONE, 0),) for _ in range(space.computed)), depths, space.channels, space.layout, widths)


Measure = Callable[[nn.Module, int, int], float]
"""Of a module, its channels and the side of its maps."""


class _Alone(nn.Module):
    """An operation outside its cell."""

    def __init__(self, operation: nn.Module) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.operation(State(x))
        return result


def each_operation(
    space: Space, patch_px: int, measure: Measure, norm: Norm = candidate_norm
) -> Float[Tensor, "blocks operations"]:
    """A measure of each operation on one edge in each block: of module, channels and side of its maps."""
    return _of_operations(space, space.block_channels, patch_px, measure, norm)


def _of_operations(
    space: Space, channels: Sequence[int], patch_px: int, measure: Measure, norm: Norm = final_norm
) -> Float[Tensor, "blocks operations"]:
    shapes = [(c, -(-patch_px // 2**block)) for block, c in enumerate(channels)]
    return torch.tensor(
        [
            [float(measure(_Alone(build_operation(name, c, norm)), c, side)) for name in space.operations]
            for c, side in shapes
        ],
        dtype=torch.float64,
    )


@dataclass(frozen=True)
class WidthCosts:
    """What a space's choices cost at each width of its blocks.

    Attributes:
        operations: of one edge in one cell of each block.
        fixed: of stem, reductions and head: the sum over pairs of neighbouring blocks at their widths. A block that is
            alone is its own neighbour.
    """

    operations: Float[Tensor, "blocks widths operations"]
    fixed: Float[Tensor, "pairs widths next"]

    @classmethod
    def of(cls, space: Space, patch_px: int, measure: Measure, bare: Callable[[tuple[int, ...]], int]) -> WidthCosts:
        """Measure them; `bare` is the cost of a network of these widths without cells."""
        rows, full = space.block_widths, space.block_channels
        operations = torch.stack(
            [_of_operations(space, at, patch_px, measure) for at in zip(*rows, strict=True)], dim=1
        )

        def at(widths: dict[int, int]) -> int:
            return bare(tuple(widths.get(block, c) for block, c in enumerate(full)))

        # Each pair with all else at full width; what two pairs share is counted once.
        fixed = torch.zeros(max(1, len(full) - 1), len(space.widths), len(space.widths), dtype=torch.float64)
        for block in range(len(fixed)):
            after = min(block + 1, len(full) - 1)
            for i, width in enumerate(rows[block]):
                shared = at({block: width}) if block else 0
                for j, next_width in enumerate(rows[after]):
                    fixed[block, i, j] = at({after: next_width, block: width}) - shared
        return cls(operations, fixed)

    def at(self, weights: Float[Tensor, "blocks widths"]) -> tuple[Tensor, Tensor]:
        """Expected costs of operations, (blocks, operations), and of the fixed parts, with gradients to the weights."""
        operations = torch.einsum("bw,bwo->bo", weights, self.operations.to(weights.dtype))
        first, second = (weights[:-1], weights[1:]) if len(weights) > 1 else (weights, weights)
        return operations, torch.einsum("bi,bj,bij->", first, second, self.fixed.to(weights.dtype))


@dataclass(frozen=True)
class CostTable:
    """What every choice of a space costs, so that the expected cost is a sum of products.

    Where widths are searched for, the table is that of the full width; `at` and `of_widths` give others.

    Attributes:
        operations: (blocks, operations), of one edge in one cell of each block.
        overhead: (blocks, depths), of a block's cells beside their edges, at each depth from 1.
        fixed: of stem, reductions and head.
        widths: the same at each width of the blocks; None where widths are not searched for.
    """

    operations: Float[Tensor, "blocks operations"]
    overhead: Float[Tensor, "blocks depths"]
    fixed: int | Float[Tensor, ""]
    widths: WidthCosts | None = None

    @classmethod
    def of(
        cls,
        space: Space,
        max_depth: int,
        bands: int,
        classes: int,
        patch_px: int,
        measure: Literal["macs", "parameters"] = "macs",
    ) -> CostTable:
        """Measure the choices of a space, depths up to `max_depth`, for patches of this size.

        Args:
            space: what is chosen from.
            max_depth: largest depth of a block.
            bands: of the patches.
            classes: of the answer.
            patch_px: side of a patch.
            measure: MACs of one patch, or trained weights of the final network.
        """
        return _table(space, max_depth, bands, classes, patch_px, measure)

    def at(self, weights: Float[Tensor, "blocks widths"] | None) -> CostTable:
        """The expected table under the probabilities of widths, with gradients; itself where there are none."""
        if self.widths is None or weights is None:
            return self
        operations, fixed = self.widths.at(weights)
        return CostTable(operations, self.overhead, fixed)

    def of_widths(self, places: Sequence[int]) -> CostTable:
        """The table of these widths of the blocks, by their places; itself where none are searched for."""
        if self.widths is None or not places:
            return self
        chosen = torch.nn.functional.one_hot(torch.tensor(places), self.widths.operations.shape[1])
        table = self.at(chosen.to(torch.float64))
        return CostTable(table.operations, table.overhead, round(float(table.fixed)))

    def cell(self, probabilities: Float[Tensor, "edges operations"]) -> Float[Tensor, "blocks"]:
        """Expected cost of the edges of one cell in each block."""
        table = self.operations.to(probabilities.dtype)
        return torch.einsum("eo,bo->b", probabilities, table)

    def expected(
        self, probabilities: Float[Tensor, "edges operations"], depth_weights: Float[Tensor, "blocks depths"]
    ) -> Float[Tensor, ""]:
        """Expected cost of the whole network.

        Args:
            probabilities: of each operation on each edge.
            depth_weights: probability of each depth from 1 on, in each block.
        """
        depths = torch.arange(1, depth_weights.shape[1] + 1, dtype=depth_weights.dtype)
        cells = (self.cell(probabilities) * (depth_weights @ depths)).sum()
        beside = (self.overhead[:, : depth_weights.shape[1]].to(depth_weights.dtype) * depth_weights).sum()
        return cells + beside + self.fixed

    def cells(self, space: Space, genotype: Genotype, *, live_only: bool = False) -> Float[Tensor, "blocks"]:
        """Cost of the edges of all cells of each block; with `live_only`, of live nodes alone."""
        table = self.of_widths(space.widths_of(genotype))
        row = dict(zip(space.operations, table.operations.T, strict=True))
        none = torch.zeros(space.blocks, dtype=torch.float64)
        nodes = [
            edges for edges, kept in zip(genotype.nodes, genotype.live_nodes, strict=True) if kept or not live_only
        ]
        cell = sum((row[name] for edges in nodes for name, _ in edges), none)
        return cell * torch.tensor(genotype.depths)

    def total(self, space: Space, genotype: Genotype, *, live_only: bool = False) -> int:
        """Cost of a network of the space, as a sum over the table: nothing is built for it."""
        beside = self.overhead[torch.arange(space.blocks), torch.tensor(genotype.depths) - 1].sum()
        fixed = int(self.of_widths(space.widths_of(genotype)).fixed)
        return int(self.cells(space, genotype, live_only=live_only).sum() + beside) + fixed

    def complexity(
        self,
        probabilities: Float[Tensor, "edges operations"],
        depths: Float[Tensor, "blocks"],
        n_ops: int,
        unit: float,
    ) -> Float[Tensor, ""]:
        """L_cpl of the paper (section 3, "Complexity Reducing Loss").

        Args:
            probabilities: omega_ij, the only path for gradients.
            depths: delta_k of each block; taken without gradient.
            n_ops: N_ops.
            unit: MACs that count as one.
        """
        return (self.cell(probabilities) * depths.detach()).sum() / (n_ops * unit)


@lru_cache(maxsize=16)
def _table(
    space: Space, max_depth: int, bands: int, classes: int, patch_px: int, measure: Literal["macs", "parameters"]
) -> CostTable:
    """What a search, its budgets and its reports all ask for; nothing writes to its tensors."""
    layout = LAYOUTS[space.layout]

    def counted(module: nn.Module, channels: int, side: int) -> int:
        cost: int = getattr(count(module, channels, side), measure)
        return cost

    def bare(depths: tuple[int, ...], widths: tuple[int, ...] = ()) -> int:
        cost: int = getattr(genotype_cost(empty_genotype(space, depths, widths), bands, classes, patch_px), measure)
        return cost

    operations = each_operation(space, patch_px, counted, final_norm)

    base = (1,) * space.blocks
    least = bare(base)
    overhead = torch.zeros(space.blocks, max_depth, dtype=torch.float64)
    if layout.preprocess:
        for block in range(space.blocks):
            for depth in range(2, max_depth + 1):
                overhead[block, depth - 1] = bare((*base[:block], depth, *base[block + 1 :])) - least
    widths = WidthCosts.of(space, patch_px, counted, lambda at: bare(base, at)) if space.widths else None
    return CostTable(operations, overhead, least, widths)
