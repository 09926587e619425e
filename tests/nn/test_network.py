"""Laws of the one backbone: what is found is what is built, in both layouts."""

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compactnas.nn.network import Network
from compactnas.nn.norms import HalfInstanceNorm, final_norm
from compactnas.nn.supernet import SuperNet, certain_sample, copy_weights
from compactnas.search.architecture import Architecture
from compactnas.search.random_genotype import random_genotype
from compactnas.search.strategies.gdas import Gdas
from compactnas.space.genotype import Genotype
from compactnas.space.layouts import LAYOUTS
from compactnas.space.search_space import Space


def small(layout: str, **changes: int) -> Space:
    return Space(layout=layout, channels=4, max_depth=3, **changes)


@cache
def supernet_of(space: Space) -> SuperNet:
    """Supernet of random weights, made once for all networks of a space."""
    torch.manual_seed(0)
    supernet = SuperNet(space, (3, 3, 3), bands=3, classes=5).double()
    supernet.normalise.set([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    return supernet


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), inputs_per_node=st.sampled_from([0, 1, 2]))
def test_supernet_on_a_certain_sample_is_the_derived_network(layout: str, seed: int, inputs_per_node: int) -> None:
    space = small(layout, inputs_per_node=inputs_per_node)
    generator = torch.Generator().manual_seed(seed)
    genotype = random_genotype(space, generator)
    torch.manual_seed(seed)
    supernet = supernet_of(space)
    network = Network(genotype, bands=3, classes=5).double()
    network.normalise.set([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    copy_weights(supernet, network)
    x = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(network(x), supernet(x, certain_sample(space, genotype)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("mode", ["mixture", "sample"])
def test_one_depth_beyond_doubt_is_that_depth(layout: str, mode: str) -> None:
    """A mixture whose weights are one-hot, and a sampled depth, equal the network of that depth."""
    space, generator = small(layout), torch.Generator().manual_seed(0)
    architecture = Architecture(space, True, 2, 1.0, generator)
    with torch.no_grad():
        architecture.depth_logits.fill_(-200.0)
        for block, depth in enumerate((1, 3, 2)):
            architecture.depth_logits[block, depth - 1] = 200.0
    supernet = SuperNet(space, architecture.built_depths, 3, 5).double()
    x = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    draw = Gdas(depth_mode=mode).draw(architecture, 0.1, generator, gradient=False)
    plain = draw.sample._replace(depths=(1, 3, 2), mix=None)
    torch.testing.assert_close(supernet(x, draw.sample), supernet(x, plain), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("patch_px", [7, 20, 64])
def test_any_patch_size_band_and_class_count(layout: str, patch_px: int) -> None:
    genotype = random_genotype(small(layout), torch.Generator().manual_seed(3))
    assert Network(genotype, 13, 2)(torch.randn(2, 13, patch_px, patch_px)).shape == (2, 2)


@pytest.mark.parametrize("channels", [4, 5])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_one_half_forgets_how_bright_a_map_is_and_the_other_keeps_it(
    channels: int, memory: torch.memory_format
) -> None:
    norm = HalfInstanceNorm(channels, final_norm).double().eval()
    x = torch.randn(3, channels, 6, 7, dtype=torch.float64).contiguous(memory_format=memory)
    brighter = 1000 * torch.rand(3, 1, 1, 1, dtype=torch.float64) + 500 * x  # another light on each map
    own, y, lit = channels // 2, norm(x), norm(brighter)
    assert y.is_contiguous(memory_format=memory)
    torch.testing.assert_close(lit[:, :own], y[:, :own], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(lit[:, own:], brighter[:, own:] / (1 + 1e-5) ** 0.5)
    torch.testing.assert_close(y[:, :own].mean(dim=(2, 3)), torch.zeros(3, own, dtype=torch.float64), rtol=0, atol=1e-9)


def test_the_weights_of_the_edges_change_no_value() -> None:
    space, generator = small("paper"), torch.Generator().manual_seed(0)
    architecture = Architecture(space, False, 2, 1.0, generator)
    supernet = SuperNet(space, architecture.built_depths, 3, 5)
    x = torch.randn(4, 3, 8, 8)
    draw = Gdas().draw(architecture, 1.0, generator, gradient=True)
    assert torch.equal(supernet(x, draw.sample), supernet(x, draw.sample._replace(weights=None)))


def test_a_node_without_edges_is_zero() -> None:
    genotype = Genotype(((("skip_connect", 0),), (), (("none", 0), ("sep_conv_3x3", 2))), (1,), 4)
    assert Network(genotype, 3, 5)(torch.randn(2, 3, 8, 8)).isfinite().all()
