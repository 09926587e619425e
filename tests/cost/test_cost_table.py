"""Costs in closed form, the paper's figures, and expected cost against measured cost."""

import pytest
import torch
from torch import nn

from compactnas.cost.counter import ELEMENT_MACS, count, count_elements, genotype_cost, work
from compactnas.cost.table import CostTable
from compactnas.nn.reductions import BasicReduction
from compactnas.nn.separable import SeparableConv
from compactnas.search.architecture import Architecture
from compactnas.search.random_genotype import random_like
from compactnas.space.genotype import Genotype
from compactnas.space.layouts import LAYOUTS
from compactnas.space.search_space import Space


def with_units(u3: int, u5: int, depth: int) -> Genotype:
    """A cell with so many depthwise-separable units of 3x3 and 5x5."""
    names = []
    for size, units in ((3, u3), (5, u5)):
        names += [f"sep_conv_{size}x{size}"] * (units // 2) + [f"dil_conv_{size}x{size}"] * (units % 2)
    names += ["skip_connect"] * (6 - len(names))
    nodes = (((names[0], 0),), ((names[1], 0), (names[2], 1)), ((names[3], 0), (names[4], 1), (names[5], 2)))
    return Genotype(nodes, (depth,) * 3)


@pytest.mark.parametrize(
    ("units", "depth", "macs", "parameters"),
    [
        ((4, 2), 3, 30.369, 0.2045),  # S; the paper prints 0.224, which no cell at its MACs has
        ((2, 2), 3, 24.102, 0.1648),  # S+C
        ((5, 4), 1, 20.051, 0.1414),  # S+D
        ((2, 5), 1, 18.421, 0.1300),  # S+C+D
    ],
)
def test_the_papers_networks(units: tuple[int, int], depth: int, macs: float, parameters: float) -> None:
    cost = genotype_cost(with_units(*units, depth), bands=10, classes=17, patch_px=32)
    assert round(cost.macs / 1e6, 3) == macs
    assert round(cost.parameters / 1e6, 4) == parameters


def test_closed_forms() -> None:
    convolution = nn.Conv2d(6, 8, 3, padding=1, groups=2, bias=True)
    assert count(convolution, 6, 10).macs == 10 * 10 * 8 * 3 * 9
    assert count(convolution, 6, 10).parameters == 8 * 3 * 9 + 8
    assert count(nn.Sequential(nn.Flatten(), nn.Linear(48, 7)), 3, 4).macs == 48 * 7
    assert count(nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)), 3, 8).macs == 0


@pytest.mark.parametrize("separable", [False, True])
def test_a_lean_reduction_is_the_basic_one_of_separable_convolutions(separable: bool) -> None:
    c, pixels = 8, 16 * 16  # from 32 px
    reduction = BasicReduction(c, 2 * c, nn.BatchNorm2d, separable=separable)
    body = 9 * c + c * 2 * c + 9 * 2 * c + 2 * c * 2 * c if separable else 9 * c * 2 * c + 9 * 2 * c * 2 * c
    assert count(reduction.body, c, 32).macs == pixels * body
    assert count(reduction.shortcut, c, 32).macs == pixels * c * 2 * c


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("measure", ["macs", "parameters"])
def test_expected_cost_of_a_certain_architecture_is_the_measured_cost(layout: str, measure: str) -> None:
    """For every operation, and for every depth in every block; 20 px are no multiple of the strides."""
    patch_px = 20
    space = Space(layout=layout, channels=8, max_depth=3)
    table = CostTable.of(space, 3, 4, 5, patch_px, measure)
    depth_choices = [(1, 1, 1), (3, 1, 1), (1, 2, 1), (1, 1, 3)]
    for index, name in enumerate(space.operations):
        for depths in depth_choices if name in ("sep_conv_5x5", "mb_k5_e2") else [(1, 2, 3)]:
            p = torch.zeros(len(space.edges), len(space.operations), dtype=torch.float64)
            p[:, index] = 1.0
            weights = torch.zeros(3, 3, dtype=torch.float64)
            for block, depth in enumerate(depths):
                weights[block, depth - 1] = 1.0
            nodes = tuple(
                tuple((name, source) for node, source in space.edges if node == n) for n in range(space.computed)
            )
            genotype = space.genotype(nodes, depths)
            measured = getattr(genotype_cost(genotype, 4, 5, patch_px), measure)
            assert table.expected(p, weights) == table.total(space, genotype) == measured


def test_the_complexity_loss_at_a_uniform_alpha() -> None:
    """0.01 x L_cpl in M MACs is 0.021 with N_ops = 8 and 0.0036 with N_ops = 48."""
    space = Space()
    table = CostTable.of(space, 3, bands=10, classes=17, patch_px=32)
    p = torch.full((6, 8), 1 / 8)
    depths = torch.full((3,), 3.0)
    assert 0.01 * table.complexity(p, depths, 8, 1e6) == pytest.approx(0.021, abs=5e-4)
    assert 0.01 * table.complexity(p, depths, 48, 1e6) == pytest.approx(0.0036, abs=5e-5)


def test_the_complexity_loss_has_no_gradient_to_the_depth() -> None:
    space = Space()
    table = CostTable.of(space, 5, bands=10, classes=17, patch_px=32)
    arch = Architecture(space, True, 3, 1.0, torch.Generator().manual_seed(0))
    table.complexity(arch.probabilities(), arch.mean_depths(), 8, 1e6).backward()
    assert arch.alpha.grad is not None and arch.depth_logits.grad is None


def test_a_random_cell_costs_what_its_model_costs() -> None:
    target = 20_000_000
    genotype = random_like(Space(), target, torch.Generator().manual_seed(0), bands=10, classes=17, patch_px=32)
    assert abs(genotype_cost(genotype, 10, 17, 32).macs / target - 1) <= 0.02
    assert genotype.is_connected


def test_elements_are_what_the_layers_write() -> None:
    layers = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.Sequential(nn.AvgPool2d(2), nn.Flatten()))
    assert count_elements(layers, 3, 8) == 2 * 5 * 64 + 2 * 5 * 16
    separable = SeparableConv(6, 3, 1)
    assert count_elements(separable, 6, 8) == separable.map_writes * 6 * 64
    assert count_elements(nn.Sequential(nn.Sequential(), separable), 6, 8) == separable.map_writes * 6 * 64
    assert work(layers, 3, 8) == 3 * 5 * 9 * 64 + ELEMENT_MACS * (2 * 5 * 64 + 2 * 5 * 16)
