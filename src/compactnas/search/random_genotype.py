"""Random networks of a space: the control that a searched network has to beat at the same cost."""

from __future__ import annotations

import torch

from compactnas.cost.table import CostTable
from compactnas.errors import UserError
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space

TRIES = 20_000


def random_genotype(space: Space, generator: torch.Generator, depths: tuple[int, ...] | None = None) -> Genotype:
    """A genotype drawn uniformly from those that a search of the space can derive.

    Where nodes keep some of their edges only, these are drawn too, and `none` is not among the
    operations. Depths are drawn for each block unless they are given, widths where
    the space has some.
    """
    kept = space.inputs_per_node
    names = [name for name in space.operations if name != "none"] if kept else space.operations
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
    return Genotype(tuple(nodes), depths, space.channels, space.layout, widths)


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
    """A random genotype whose MACs are within `tolerance` of the target's, and whose output hears every node.

    A node that is not heard costs and does nothing: a control that holds some would be easier to beat.

    Errors:
        UserError: none was drawn in many tries.
    """
    table = CostTable.of(space, space.max_depth, bands, classes, patch_px)
    for _ in range(TRIES):
        genotype = random_genotype(space, generator)
        if (
            genotype.connected
            and all(genotype.heard)
            and abs(table.total(space, genotype) - target_macs) <= tolerance * target_macs
        ):
            return genotype
    raise UserError(f"no random cell of {target_macs / 1e6:.2f} M MACs in {TRIES} tries; is the space's range near it?")
