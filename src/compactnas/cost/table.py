"""Cost table: cost of every choice of a space. An expected cost is a sum of products of its entries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from compactnas.cost.counter import count
from compactnas.cost.layer_costs import LayerCosts
from compactnas.nn.network import Network
from compactnas.nn.norms import Norm, candidate_norm, final_norm
from compactnas.nn.operations import build_operation
from compactnas.nn.state import OnMap
from compactnas.space.genotype import Genotype
from compactnas.space.operation_specs import NONE
from compactnas.space.search_space import Space


def empty_genotype(space: Space, depths: tuple[int, ...], widths: tuple[int, ...] = ()) -> Genotype:
    """Make a genotype with empty cells: its network has only the fixed parts. A layer always has an operation."""
    name = space.operations[0] if space.layout_of.residual else NONE
    return space.genotype([((name, 0),)] * space.computed, depths, widths)


Measure = Callable[[nn.Module, int, int], float]
"""Function that measures a module, given its channels and the side of its maps."""


def each_operation(
    space: Space, patch_px: int, measure: Measure, norm: Norm = candidate_norm
) -> Float[Tensor, "blocks operations"]:
    """Measure each operation on one edge in each block."""
    return _of_operations(space, space.block_channels, patch_px, measure, norm)


def _of_operations(
    space: Space, channels: Sequence[int], patch_px: int, measure: Measure, norm: Norm = final_norm
) -> Float[Tensor, "blocks operations"]:
    shapes = [(c, -(-patch_px // 2**block)) for block, c in enumerate(channels)]
    return torch.tensor(
        [
            [float(measure(OnMap(build_operation(name, c, norm)), c, side)) for name in space.operations]
            for c, side in shapes
        ],
        dtype=torch.float64,
    )


def measure_bare(
    space: Space, sizes: tuple[int, int, int], measure: Measure, depths: tuple[int, ...], widths: tuple[int, ...] = ()
) -> float:
    """Measure a network without the operations of its cells or layers.

    Args:
        space: Search space.
        sizes: Number of bands, number of classes and side of a patch.
        measure: Function that measures a module.
        depths: Number of cells in each block; a layout of layers has no other parts in a block.
        widths: Number of channels of each block; empty for full width.
    """
    bands, classes, patch_px = sizes
    if space.layout_of.residual:
        depths = (1,) * space.blocks
    with torch.device("meta"):
        network = Network(empty_genotype(space, depths, widths), bands, classes)
    total = float(measure(network, bands, patch_px))
    if not space.layout_of.residual:
        return total
    channels = widths or space.block_channels
    first = replace(space, operations=space.operations[:1], widths=(), channels=channels[0], channels_by_block=channels)
    layers = each_operation(first, patch_px, measure, final_norm).sum()
    return total - float(layers + LayerCosts.of(first, patch_px, measure).reductions.sum())


@dataclass(frozen=True)
class WidthCosts:
    """Costs of a space's choices at each width of its blocks.

    Attributes:
        operations: Cost of an operation on one edge in one cell of each block.
        fixed: Cost of stem, reductions and head: the sum over pairs of neighbouring blocks at their widths. A single
            block is its own neighbour.
    """

    operations: Float[Tensor, "blocks widths operations"]
    fixed: Float[Tensor, "pairs widths next"]

    @classmethod
    def of(cls, space: Space, patch_px: int, measure: Measure, bare: Callable[[tuple[int, ...]], int]) -> WidthCosts:
        """Measure the costs. `bare` returns the cost of a network of given widths without cells."""
        rows, full = space.block_widths, space.block_channels
        operations = torch.stack(
            [_of_operations(space, at, patch_px, measure) for at in zip(*rows, strict=True)], dim=1
        )

        def at(widths: dict[int, int]) -> int:
            return bare(tuple(widths.get(block, c) for block, c in enumerate(full)))

        # Measure each pair with all other blocks at full width; count the part that two pairs share once.
        fixed = torch.zeros(max(1, len(full) - 1), len(space.widths), len(space.widths), dtype=torch.float64)
        for block in range(len(fixed)):
            after = min(block + 1, len(full) - 1)
            for i, width in enumerate(rows[block]):
                shared = at({block: width}) if block else 0
                for j, next_width in enumerate(rows[after]):
                    fixed[block, i, j] = at({after: next_width, block: width}) - shared
        return cls(operations, fixed)

    def at(self, weights: Float[Tensor, "blocks widths"]) -> tuple[Tensor, Tensor]:
        """Compute expected costs of operations, (blocks, operations), and of the fixed parts, with gradients."""
        operations = torch.einsum("bw,bwo->bo", weights, self.operations.to(weights.dtype))
        first, second = (weights[:-1], weights[1:]) if len(weights) > 1 else (weights, weights)
        return operations, torch.einsum("bi,bj,bij->", first, second, self.fixed.to(weights.dtype))


@dataclass(frozen=True)
class CostTable:
    """Costs of every choice of a space; the expected cost is a sum of products.

    If widths are searched for, the costs are those at full width; `at` and `of_widths` return those at other widths.

    Attributes:
        operations: Cost of each operation on one edge in one cell of each block, (blocks, operations).
        overhead: Cost of a block's cells besides their edges, at each depth from 1, (blocks, depths).
        fixed: Cost of stem, reductions and head.
        widths: Costs at each width of the blocks; None if widths are not searched for.
        layers: Uses of the rows of alpha and costs of the reductions in a layout of layers; None for cells, which use
            all rows.
    """

    operations: Float[Tensor, "blocks operations"]
    overhead: Float[Tensor, "blocks depths"]
    fixed: int | Float[Tensor, ""]
    widths: WidthCosts | None = None
    layers: LayerCosts | None = None

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
            space: Search space.
            max_depth: Largest depth of a block.
            bands: Number of bands of the patches.
            classes: Number of classes.
            patch_px: Side of a patch.
            measure: `macs` of one patch, or `parameters` of the final network.
        """
        return _table(space, max_depth, bands, classes, patch_px, measure)

    def at(self, weights: Float[Tensor, "blocks widths"] | None) -> CostTable:
        """Return the expected table under probabilities of widths, with gradients; without widths, this table."""
        if self.widths is None or weights is None:
            return self
        operations, fixed = self.widths.at(weights)
        return CostTable(operations, self.overhead, fixed, layers=self.layers and self.layers.at(weights))

    def of_widths(self, places: Sequence[int]) -> CostTable:
        """Return the table at these widths, given as one index per block; without widths, this table."""
        if self.widths is None or not places:
            return self
        chosen = torch.nn.functional.one_hot(torch.tensor(places), self.widths.operations.shape[1])
        table = self.at(chosen.to(torch.float64))
        return replace(table, fixed=round(float(table.fixed)))

    def cell(self, probabilities: Float[Tensor, "edges operations"]) -> Float[Tensor, "blocks"]:
        """Compute the expected cost of the edges of one cell in each block."""
        table = self.operations.to(probabilities.dtype)
        return torch.einsum("eo,bo->b", probabilities, table)

    def expected(
        self, probabilities: Float[Tensor, "edges operations"], depth_weights: Float[Tensor, "blocks depths"]
    ) -> Float[Tensor, ""]:
        """Compute the expected cost of the whole network.

        Args:
            probabilities: Probability of each operation on each edge.
            depth_weights: Probability of each depth from 1 on, in each block.
        """
        if self.layers is not None:
            cells = self.layers.blocks(self.operations, probabilities, self.layers.expected_uses(depth_weights)).sum()
        else:
            depths = torch.arange(1, depth_weights.shape[1] + 1, dtype=depth_weights.dtype)
            cells = (self.cell(probabilities) * (depth_weights @ depths)).sum()
        beside = (self.overhead[:, : depth_weights.shape[1]].to(depth_weights.dtype) * depth_weights).sum()
        return cells + beside + self.fixed

    def cells(self, space: Space, genotype: Genotype, *, live_only: bool = False) -> Float[Tensor, "blocks"]:
        """Compute the cost of the edges of all cells of each block; with `live_only`, of live nodes only.

        In a layout of layers, a block includes the reduction before it.
        """
        table = self.of_widths(space.widths_of(genotype))
        if table.layers is not None:
            chosen = torch.zeros(space.computed, len(space.operations), dtype=torch.float64)
            for (place, _), operation in space.operations_of(genotype).items():
                chosen[place, space.operations.index(operation)] = 1
            uses = table.layers.uses(torch.tensor(genotype.depths, dtype=torch.float64))
            return table.layers.blocks(table.operations, chosen, uses)
        row = dict(zip(space.operations, table.operations.T, strict=True))
        none = torch.zeros(space.blocks, dtype=torch.float64)
        nodes = [
            edges for edges, kept in zip(genotype.nodes, genotype.live_nodes, strict=True) if kept or not live_only
        ]
        cell = sum((row[name] for edges in nodes for name, _ in edges), none)
        return cell * torch.tensor(genotype.depths)

    def total(self, space: Space, genotype: Genotype, *, live_only: bool = False) -> int:
        """Compute the cost of a network of the space as a sum over the table, without building the network."""
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
        """Compute L_cpl of the paper (section 3, "Complexity Reducing Loss").

        In a layout of layers, a reduction counts once, whatever the depth: its operation is searched too.

        Args:
            probabilities: Probability of each operation, omega_ij; the only argument that gets gradients.
            depths: Depth of each block, delta_k, used without gradient.
            n_ops: N_ops of the paper.
            unit: Number of MACs that count as one.
        """
        if self.layers is not None:
            uses = self.layers.uses(depths.detach())
            return self.layers.blocks(self.operations, probabilities, uses).sum() / (n_ops * unit)
        return (self.cell(probabilities) * depths.detach()).sum() / (n_ops * unit)


@lru_cache(maxsize=16)
def _table(
    space: Space, max_depth: int, bands: int, classes: int, patch_px: int, measure: Literal["macs", "parameters"]
) -> CostTable:
    """Measure a table, or return it from the cache; callers must not write to its tensors."""

    def counted(module: nn.Module, channels: int, side: int) -> int:
        cost: int = getattr(count(module, channels, side), measure)
        return cost

    @cache
    def bare(depths: tuple[int, ...], widths: tuple[int, ...] = ()) -> int:
        return round(measure_bare(space, (bands, classes, patch_px), counted, depths, widths))

    operations = each_operation(space, patch_px, counted, final_norm)

    base = (1,) * space.blocks
    least = bare(base)
    overhead = torch.zeros(space.blocks, max_depth, dtype=torch.float64)
    if space.layout_of.preprocess:
        for block in range(space.blocks):
            for depth in range(2, max_depth + 1):
                overhead[block, depth - 1] = bare((*base[:block], depth, *base[block + 1 :])) - least
    widths = WidthCosts.of(space, patch_px, counted, lambda at: bare(base, at)) if space.widths else None
    layers = LayerCosts.of(space, patch_px, counted) if space.layout_of.residual else None
    return CostTable(operations, overhead, least, widths, layers)
