"""Random networks that cost as much as a given one, whatever its widths."""

from __future__ import annotations

import pytest
import torch

from compactnas.cost.counter import genotype_cost
from compactnas.search.random_genotype import random_genotype, random_like, space_like
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space

SIZES = {"bands": 3, "classes": 10, "patch_px": 16}
CELLS = Space(channels=18, layout="lean", widths=(0.5, 0.75, 1.0), max_depth=2)
LAYERS = Space(channels=32, layout="mobile", widths=(0.5, 1.0), max_depth=2)


def narrow(space: Space, widths: tuple[int, ...]) -> Genotype:
    found = random_genotype(space, torch.Generator().manual_seed(3))
    return Genotype(found.nodes, found.depths, space.channels, space.layout, widths)


@pytest.mark.parametrize(
    "twin",
    [
        narrow(CELLS, (14, 27, 54)),  # 27 of 36 is 0.75, and 14 of 18 is 0.78
        narrow(CELLS, (9, 36, 72)),
        narrow(LAYERS, (16, 64, 128)),
        narrow(LAYERS, (32, 32, 64)),
    ],
)
def test_a_network_with_narrow_blocks_has_random_ones_of_its_cost(twin: Genotype) -> None:
    target = genotype_cost(twin, **SIZES).macs
    space = space_like(Space(max_depth=2), twin)
    found = random_like(space, target, torch.Generator().manual_seed(0), **SIZES, tolerance=0.1)
    assert found.layout == twin.layout and abs(genotype_cost(found, **SIZES).macs / target - 1) <= 0.1
