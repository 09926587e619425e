"""The layout `mobile`: its network against a plain one, and its costs against closed forms."""

from __future__ import annotations

import itertools

import pytest
import torch
from support.tiny import BANDS, CLASSES
from torch import nn
from torch.nn import functional as F

from compactnas.cost.counter import count, genotype_cost
from compactnas.cost.table import CostTable
from compactnas.nn.network import Network
from compactnas.nn.supernet import SuperNet, certain_sample, copy_weights
from compactnas.search.random_genotype import random_genotype
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space

PER = ("block", "layer")
SMALL = {"layout": "mobile", "blocks": 2, "max_depth": 2, "channels_by_block": (4, 6)}
THREE = ("mb_k3_e1", "mb_k5_e2", "fused_k3_e2")


def chain(channels: tuple[int, ...], depths: tuple[int, ...], names: tuple[str, ...]) -> Genotype:
    """A network with one operation in each block."""
    nodes = tuple(((name, node),) for node, name in enumerate(names))
    return Genotype(nodes, depths, channels[0], "mobile", channels)


STARTS = {
    "8 %, 5x5": (chain((24, 40, 80), (1, 2, 2), ("mb_k5_e2", "mb_k5_e2", "mb_k5_e3")), 18.250, 0.1365),
    "8 %, 3x3": (chain((16, 32, 64), (2, 3, 3), ("mb_k3_e2", "mb_k3_e3", "mb_k3_e3")), 16.088, 0.1216),
    "4 %": (chain((16, 24, 48), (1, 1, 2), ("mb_k3_e2", "mb_k5_e3", "mb_k5_e3")), 7.529, 0.0549),
}


@pytest.mark.parametrize("name", STARTS)
def test_the_starting_points_cost_what_was_said(name: str) -> None:
    genotype, macs, parameters = STARTS[name]
    cost = genotype_cost(genotype, bands=3, classes=10, patch_px=32)
    assert (round(cost.macs / 1e6, 3), round(cost.parameters / 1e6, 4)) == (macs, parameters)
    assert Genotype.from_json(genotype.to_json()) == genotype


class PlainLayer(nn.Module):
    """An inverted residual of the library's layers; at stride 1 beside the identity."""

    def __init__(self, c: int, out: int, size: int, expansion: int, fused: bool, stride: int) -> None:
        super().__init__()
        inner, pad = c * expansion, size // 2
        self.identity = stride == 1
        filters = [nn.Conv2d(inner, inner, size, stride, pad, groups=inner, bias=False)]
        if fused:
            filters = [nn.Conv2d(c, inner, size, stride, pad, bias=False)]
        elif expansion > 1:
            filters = [nn.Conv2d(c, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(), *filters]
        last = [nn.Conv2d(inner, out, 1, bias=False), nn.BatchNorm2d(out)]
        self.layers = nn.Sequential(*filters, nn.BatchNorm2d(inner), nn.ReLU(), *last)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x) + x if self.identity else self.layers(x)


class PlainHalves(nn.Module):
    """Two channels normalised by patch, two by the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.by_patch, self.by_batch = nn.InstanceNorm2d(2, affine=True), nn.BatchNorm2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.by_patch(x[:, :2]), self.by_batch(x[:, 2:])], 1)


def plain_network(bands: int, classes: int) -> nn.Sequential:
    """The network of `chain((4, 6, 10), (2, 1, 1), THREE)`, written out."""
    return nn.Sequential(
        nn.Conv2d(bands, 4, 3, padding=1, bias=False),
        PlainHalves(),
        nn.ReLU(),
        PlainLayer(4, 4, 3, 1, False, 1),
        PlainLayer(4, 4, 3, 1, False, 1),
        PlainLayer(4, 6, 5, 2, False, 2),
        PlainLayer(6, 6, 5, 2, False, 1),
        PlainLayer(6, 10, 3, 2, True, 2),
        PlainLayer(10, 10, 3, 2, True, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(10, classes),
    )


def test_the_network_is_the_plain_one() -> None:
    """The same costs, and with the same weights the same logits and gradients; 15 px is no multiple of the strides."""
    genotype = chain((4, 6, 10), (2, 1, 1), THREE)
    torch.manual_seed(0)
    network, plain = Network(genotype, 3, 5), plain_network(3, 5)
    assert count(network, 3, 15) == count(plain, 3, 15)
    # Our blocks come before our reductions in the state; the plain network has them in the order of the pass.
    backbone = network.backbone
    order = [backbone.stem, *backbone.blocks[0], backbone.reductions[0], *backbone.blocks[1], backbone.reductions[1]]
    parts = [*order, *backbone.blocks[2], backbone.head]
    ours = [p for part in parts for p in part.parameters()]
    assert [p.shape for p in ours] == [p.shape for p in plain.parameters()]
    with torch.no_grad():
        for p, other in zip(ours, plain.parameters(), strict=True):
            other.copy_(p)
    x, y = torch.randn(6, 3, 15, 15), torch.arange(6) % 5
    losses = [F.cross_entropy(net(x), y) for net in (network, plain)]
    torch.testing.assert_close(*losses)
    gradients = [torch.autograd.grad(loss, list(p)) for loss, p in zip(losses, (ours, plain.parameters()), strict=True)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("per", PER)
@pytest.mark.parametrize("widths", [(), (0.5, 1.0)])
def test_the_table_has_the_cost_of_every_network(per: str, widths: tuple[float, ...]) -> None:
    space = Space(**SMALL, alpha_per=per, widths=widths)
    generator = torch.Generator().manual_seed(0)
    for measure in ("macs", "parameters"):
        table = CostTable.of(space, 2, BANDS, CLASSES, 9, measure)
        for _ in range(8):
            genotype = random_genotype(space, generator)
            assert table.total(space, genotype) == getattr(genotype_cost(genotype, BANDS, CLASSES, 9), measure)


@pytest.mark.parametrize("per", PER)
def test_the_expected_cost_is_the_mean_over_all_networks(per: str) -> None:
    space = Space(**SMALL, alpha_per=per, operations=THREE[:2])
    table, names = CostTable.of(space, 2, BANDS, CLASSES, 8), space.operations
    torch.manual_seed(0)
    p = torch.rand(space.computed, 2, dtype=torch.float64).softmax(-1)
    w = torch.rand(2, 2, dtype=torch.float64).softmax(-1)
    mean = torch.zeros((), dtype=torch.float64)
    for picks in itertools.product(range(2), repeat=space.computed):
        for depths in itertools.product((1, 2), repeat=2):
            chance = torch.stack([p[row, pick] for row, pick in enumerate(picks)]).prod()
            chance = chance * w[0, depths[0] - 1] * w[1, depths[1] - 1]
            genotype = space.genotype([((names[pick], 0),) for pick in picks], depths)
            mean = mean + chance * table.total(space, genotype)
    torch.testing.assert_close(table.expected(p, w), mean)
    assert table.layers is not None  # the complexity loss counts the layers behind a reduction, and it once
    depths = torch.tensor([2.0, 1.0], dtype=torch.float64)
    certain = torch.stack([torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])]).double()
    without_fixed = table.expected(p, certain) - table.fixed
    torch.testing.assert_close(table.complexity(p, depths, 2, 1e6), without_fixed / 2e6)


@pytest.mark.parametrize("per", PER)
@pytest.mark.parametrize("widths", [(), (0.5, 1.0)])
def test_a_derived_network_computes_what_the_supernet_computes(per: str, widths: tuple[float, ...]) -> None:
    space = Space(**SMALL, alpha_per=per, widths=widths)
    torch.manual_seed(0)
    supernet = SuperNet(space, (2, 2), BANDS, CLASSES)
    x = torch.randn(6, BANDS, 9, 9)
    for seed in range(4):
        genotype = random_genotype(space, torch.Generator().manual_seed(seed))
        network = Network(genotype, BANDS, CLASSES)
        copy_weights(supernet, network)
        with torch.no_grad():
            torch.testing.assert_close(network.train()(x), supernet(x, certain_sample(space, genotype)))
