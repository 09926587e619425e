"""Random networks of a space: the control for a searched network of the same cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from compactnas.cost.table import CostTable
from compactnas.errors import UserError
from compactnas.space.genotype import Genotype, full_widths
from compactnas.space.operation_specs import NONE
from compactnas.space.search_space import Space

TRIES, LIVE_TRIES = 20_000, 100


def random_genotype(space: Space, generator: torch.Generator, depths: tuple[int, ...] | None = None) -> Genotype:
    """Draw a genotype uniformly from those that a search of the space can derive.

    If nodes keep only some of their edges, these are drawn too, and `none` is not among the operations. Depths are
    drawn unless they are given, and widths are drawn if the space has them.
    """
    kept = space.inputs_per_node
    names = [name for name in space.operations if name != NONE] if kept else space.operations
    nodes = []
    for node in range(space.computed):
        sources = [source for n, source in space.edges if n == node]
        if kept:
            order = torch.randperm(len(sources), generator=generator).tolist()
            sources = sorted(sources[place] for place in order[:kept])
        picks = torch.randint(len(names), (len(sources),), generator=generator).tolist()
        nodes.append(tuple((names[pick], source) for pick, source in zip(picks, sources, strict=True)))
    if depths is None:
        drawn = torch.randint(space.min_depth, space.max_depth + 1, (space.blocks,), generator=generator)
        depths = tuple(drawn.tolist())
    widths: tuple[int, ...] = ()
    if space.widths:
        places = torch.randint(len(space.widths), (space.blocks,), generator=generator).tolist()
        widths = tuple(row[place] for row, place in zip(space.block_widths, places, strict=True))
    return space.genotype(nodes, depths, widths)


def random_connected(space: Space, generator: torch.Generator, depths: tuple[int, ...] | None = None) -> Genotype:
    """Draw a genotype uniformly from those with a path from input to output; see `random_genotype`."""
    while not (genotype := random_genotype(space, generator, depths)).is_connected:
        pass
    return genotype


def random_live(space: Space, generator: torch.Generator, depths: tuple[int, ...] | None = None) -> Genotype:
    """Draw a genotype uniformly from those whose output depends on every node; see `random_genotype`.

    If none of a hundred draws is one, as in cells of many nodes with one edge each, the last draw has dead nodes.
    """
    for _ in range(LIVE_TRIES):
        genotype = random_connected(space, generator, depths)
        if all(genotype.live_nodes):
            break
    return genotype


def space_like(space: Space, twin: Genotype) -> Space:
    """Give a space the layout and the channels of a network, so that random networks of the space can match its cost.

    Cells and layers have different operations: if the space has the other kind, those of the network's layout are
    taken.
    """
    blocks, same = len(twin.depths), space.layout_of.residual == twin.layout_of.residual
    if twin.layout_of.residual:
        return Space(
            layout=twin.layout,
            channels=twin.block_channels[0],
            blocks=blocks,
            min_depth=space.min_depth,
            max_depth=space.max_depth,
            operations=space.operations if same else twin.layout_of.operations,
            widths=space.widths,
            channels_by_block=twin.block_channels,
            alpha_per=twin.rows.per,
        )
    shares = space.widths
    if twin.widths and not shares:  # only narrow cells reach the cost of a narrow network
        shares = _shares(twin.widths, full_widths(twin.channels, blocks))
    return replace(
        space,
        layout=twin.layout,
        channels=twin.channels,
        blocks=blocks,
        operations=space.operations if same else twin.layout_of.operations,
        widths=shares,
        channels_by_block=(),
        alpha_per="block",
    )


def _shares(widths: Sequence[int], full: Sequence[int]) -> tuple[float, ...]:
    """Find shares of the channels that give a network's widths, as far as they round to different channels."""
    found = [1.0]
    for share in sorted({width / c for width, c in zip(widths, full, strict=True)}, reverse=True):
        if all(min(widths) <= round(share * c) < round(found[-1] * c) for c in full):
            found.append(share)
    return tuple(reversed(found)) if len(found) > 1 else ()


def random_like(
    space: Space,
    target_macs: int,
    generator: torch.Generator,
    *,
    bands: int,
    classes: int,
    patch_px: int,
    tolerance: float = 0.02,
) -> Genotype:
    """Draw a random genotype without dead nodes whose MACs are within ``tolerance`` of the target.

    Dead nodes cost MACs and compute nothing: a control with dead nodes would be easier to beat.

    Raises:
        UserError: Many tries found no such genotype.
    """
    table = CostTable.of(space, space.max_depth, bands, classes, patch_px)
    for _ in range(TRIES):
        genotype = random_genotype(space, generator)
        if (
            genotype.is_connected
            and all(genotype.live_nodes)
            and abs(table.total(space, genotype) - target_macs) <= tolerance * target_macs
        ):
            return genotype
    raise UserError(
        f"no random cell of {target_macs / 1e6:.2f} M MACs in {TRIES} tries; choose a space that has such networks"
    )
