"""The counter of MACs gives the numbers of torch's own, which loads torch's compiler."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from compactnas.cost.counter import count
from compactnas.nn.baselines import BASELINES
from compactnas.nn.network import Network
from compactnas.search.genotype_choices import GenotypeChoices
from compactnas.space.layouts import LAYOUTS
from compactnas.space.search_space import Space


class Product(nn.Module):
    """Matrix products, a grouped and a transposed convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.grouped = nn.Conv2d(4, 8, 3, groups=2, stride=2)
        self.back = nn.ConvTranspose2d(8, 6, 2, stride=2, bias=False)
        self.line = nn.Conv1d(6, 5, 3)
        self.head = nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.back(self.grouped(x)).flatten(2)
        x = self.line(x).transpose(1, 2)
        return self.head(x) @ torch.ones(3, 2, device=x.device) + torch.matmul(self.head(x), x.new_ones(3, 2))


class Unknown(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("bchw,bchw->b", x, x)


def by_torch(network: nn.Module, bands: int, patch_px: int) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, bands, patch_px, patch_px))
    return int(counter.get_total_flops() // 2)


@pytest.mark.parametrize("name", [*BASELINES, "products"])
def test_counts_what_torch_counts(name: str) -> None:
    network = Product() if name == "products" else BASELINES[name].build(4, 5)
    assert count(network, 4, 12).macs == by_torch(network, 4, 12) > 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_counts_random_cells_as_torch_does(layout: str) -> None:
    space = Space(layout=layout, channels=4, max_depth=2)  # type: ignore[arg-type]
    known, rng = GenotypeChoices(space, None), np.random.default_rng(0)
    for _ in range(4):
        network = Network(known.genotype(known.choices().draw(rng)), 4, 5)
        assert count(network, 4, 16).macs == by_torch(network, 4, 16) > 0


def test_counting_changes_neither_weights_nor_random_numbers() -> None:
    network = BASELINES["resnet8"].build(4, 5)
    before = [p.clone() for p in network.parameters()]
    state = torch.get_rng_state()
    count(network, 4, 8)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_an_operator_without_a_rule_is_refused() -> None:
    with pytest.raises(AssertionError, match="einsum: add a rule"):
        count(Unknown(), 4, 8)
