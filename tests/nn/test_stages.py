"""Every network computes its answer from its stages."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from compactnas.nn.baselines import BASELINES
from compactnas.nn.network import Network
from compactnas.nn.stages import StagedNetwork
from compactnas.search.random_genotype import random_genotype
from compactnas.space.genotype import Genotype
from compactnas.space.layouts import LAYOUTS
from compactnas.space.search_space import Space

BANDS, CLASSES = 3, 5


def network_of(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name in BASELINES:
        return BASELINES[name].build(BANDS, CLASSES).eval()
    if LAYOUTS[name].residual:
        space = Space(layout=name, channels=4, max_depth=2)
        return Network(random_genotype(space, torch.Generator().manual_seed(0)), BANDS, CLASSES).eval()
    nodes = tuple(
        (("sep_conv_3x3", 0), ("max_pool_3x3", node)) if node else (("skip_connect", 0),) for node in range(4)
    )
    return Network(Genotype(nodes, (1, 2, 1), 4, name), BANDS, CLASSES).eval()


@pytest.mark.parametrize("name", [*LAYOUTS, *BASELINES])
def test_stages_compute_the_features_and_the_answer(name: str) -> None:
    network, x = network_of(name), torch.rand(2, BANDS, 16, 16)
    assert isinstance(network, StagedNetwork)
    cut = network.stages()
    with torch.no_grad():
        states = cut.enter(x)
        for number, stage in enumerate(cut.stages):
            states = stage(states)
            assert states[-1].x.shape[-1] == 16 // 2**number
        assert torch.equal(states[-1].x, network.forward_features(x))
        if name != "sen2lcz_mf":  # it joins the answers of several heads
            logits = cut.linear(cut.leave(states[-1].x).mean(dim=(2, 3)))
            torch.testing.assert_close(logits, network(x))
