"""Operations without weights that the supernet normalises; the derived network and its costs do not change."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from compactnas.errors import UserError
from compactnas.nn.network import Network
from compactnas.nn.norms import candidate_norm
from compactnas.nn.operations import build_normalized, build_operation
from compactnas.nn.state import EdgeWeight, State
from compactnas.nn.supernet import SuperNet, certain_sample, copy_weights
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space

WEIGHTLESS = ("avg_pool_3x3", "max_pool_3x3", "skip_connect")
SPACE = Space(channels=4, blocks=2, nodes=3, max_depth=1)
X = 3 + 2 * torch.randn(6, 4, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", WEIGHTLESS)
def test_each_channel_has_mean_zero_and_deviation_one(name: str) -> None:
    module = build_normalized(name, 4, candidate_norm)
    plain = build_operation(name, 4, candidate_norm)(State(X))
    y = module(State(X))
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(4), rtol=0, atol=1e-5)
    torch.testing.assert_close(y.std((0, 2, 3), correction=0), torch.ones(4), rtol=0, atol=1e-4)
    assert float(plain.square().mean()) > 2, "without the normalisation it is louder"
    assert not list(module.parameters()) and not module.state_dict()


@pytest.mark.parametrize("name", WEIGHTLESS)
def test_the_weight_of_the_edge_scales_the_normalised_map_and_gets_its_gradient(name: str) -> None:
    module = build_normalized(name, 4, candidate_norm)
    normalised = F.batch_norm(build_operation(name, 4, candidate_norm)(State(X)), None, None, training=True)
    gradient = torch.randn(X.shape, generator=torch.Generator().manual_seed(1))
    for value, is_one in ((1.0, True), (0.3, False)):
        weight = torch.tensor(value, requires_grad=True)
        y = module(State(X), EdgeWeight(weight, is_one))
        torch.testing.assert_close(y.detach(), value * normalised)
        (found,) = torch.autograd.grad(y, weight, gradient)
        torch.testing.assert_close(found, (gradient * normalised).sum(), rtol=1e-4, atol=1e-3)


def test_only_the_supernet_changes_and_only_where_asked() -> None:
    genotype = Genotype((((WEIGHTLESS[1], 0),), (("sep_conv_3x3", 0), ("skip_connect", 1))), (1, 1), 4)
    torch.manual_seed(0)
    plain = SuperNet(SPACE, (1, 1), 3, 5)
    normalized = SuperNet(SPACE, (1, 1), 3, 5, WEIGHTLESS[:2])
    assert list(plain.state_dict()) == list(normalized.state_dict()), "a checkpoint fits both"
    normalized.load_state_dict(plain.state_dict())
    x = torch.randn(4, 3, 8, 8)
    for nodes, equal in ((genotype.nodes, False), ((genotype.nodes[1][:1], (("skip_connect", 0),)), True)):
        sample = certain_sample(SPACE, Genotype(nodes, (1, 1), 4))
        with torch.no_grad():
            assert torch.equal(plain(x, sample), normalized(x, sample)) == equal
    networks = [Network(genotype, 3, 5) for _ in range(2)]
    for supernet, network in zip((plain, normalized), networks, strict=True):
        network.load_state_dict(networks[0].state_dict())
        copy_weights(supernet, network)
    for a, b in zip(*(network.state_dict().values() for network in networks), strict=True):
        assert torch.equal(a, b)


def test_narrower_maps_run_too() -> None:
    y = build_normalized("avg_pool_3x3", 4, candidate_norm)(State(X[:, :2]))
    assert y.shape == (6, 2, 8, 8)


@pytest.mark.parametrize(("name", "said"), [("sep_conv_3x3", "is normalised already"), ("none", "computes nothing")])
def test_what_cannot_be_normalised_is_told(name: str, said: str) -> None:
    with pytest.raises(UserError, match=rf"search\.normalized_operations: {name} {said}; name operations without"):
        SuperNet(SPACE, (1, 1), 3, 5, (name,))
