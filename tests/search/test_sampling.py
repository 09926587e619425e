"""GDAS's sampler against what its formulas say."""

import pytest
import torch

from compactnas.nn.state import State
from compactnas.nn.supernet import SuperNet
from compactnas.search.architecture import Architecture
from compactnas.search.derivation import derive
from compactnas.search.sampling import gumbel_softmax
from compactnas.search.strategies.gdas import Gdas
from compactnas.space.genotype import Genotype
from compactnas.space.layouts import LAYOUTS
from compactnas.space.operation_specs import DARTS_OPERATIONS
from compactnas.space.search_space import Space


def architecture(search_depth: bool = True, **changes: object) -> Architecture:
    space = Space(channels=4, max_depth=3, **changes)  # type: ignore[arg-type]
    return Architecture(space, search_depth, 2, 1.0, torch.Generator().manual_seed(0))


def test_the_strongest_of_a_gumbel_softmax_follows_the_softmax() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, -1.0]])
    generator = torch.Generator().manual_seed(0)
    counts = torch.zeros(4)
    for _ in range(8000):
        counts[gumbel_softmax(logits, 5.0, generator).argmax()] += 1
    assert (counts / 8000 - logits.softmax(-1)[0]).abs().max() < 0.02


@pytest.mark.parametrize("published", [False, True])
def test_gradient_of_alpha_is_that_of_the_product_with_the_weights(published: bool) -> None:
    """The edge's weight equals the plain sum over candidates of weight x output, for both readings."""
    space = Space(channels=4, nodes=2, blocks=1)
    arch = Architecture(space, False, 1, 1.0, torch.Generator().manual_seed(1))
    supernet = SuperNet(space, (1,), 3, 5).double()
    arch.double()
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    gdas = Gdas("published" if published else "none")
    for seed in range(20):  # every operation comes up, `none` too
        draw = gdas.draw(arch, 1.0, torch.Generator().manual_seed(seed), gradient=True)
        (ours,) = torch.autograd.grad(supernet(x, draw.sample).sum() ** 2, arch.alpha)
        again = gdas.draw(arch, 1.0, torch.Generator().manual_seed(seed), gradient=True)
        p, index = again.operations[0], again.sample.path[0]
        weights = torch.nn.functional.one_hot(torch.tensor(index), 8).double() + p - p.detach()
        backbone = supernet.backbone
        cell = backbone.blocks[0][0]
        stem = backbone.stem(x)
        y = weights[index] * cell.edges[0][index](State(stem))
        if published:
            y = y + sum(weights[i] for i in range(8) if i != index)
        (expected,) = torch.autograd.grad(backbone.head(y).sum() ** 2, arch.alpha)
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("mode", ["mixture", "sample"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_reach_alpha_and_depth_but_no_frozen_weight(mode: str, layout: str) -> None:
    arch = architecture(layout=layout)
    supernet = SuperNet(arch.space, arch.built_depths, 3, 5).requires_grad_(False)
    draw = Gdas(depth_mode=mode).draw(arch, 5.0, torch.Generator().manual_seed(2), gradient=True)
    supernet(torch.randn(4, 3, 8, 8), draw.sample).logsumexp(-1).sum().backward()
    assert arch.alpha.grad is not None and arch.alpha.grad.abs().sum() > 0
    assert arch.depth_logits.grad is not None and arch.depth_logits.grad.abs().sum() > 0
    assert all(p.grad is None for p in supernet.parameters())


def test_a_draw_without_gradient_leads_nowhere() -> None:
    arch = architecture()
    supernet = SuperNet(arch.space, arch.built_depths, 3, 5)
    draw = Gdas().draw(arch, 1.0, torch.Generator().manual_seed(0), gradient=False)
    supernet(torch.randn(2, 3, 8, 8), draw.sample).sum().backward()
    assert arch.alpha.grad is None and arch.depth_logits.grad is None


@pytest.mark.parametrize("mode", ["mixture", "sample"])
def test_the_gradient_of_the_depth_by_its_formula(mode: str) -> None:
    """d loss / d Omega_j is <gradient, output of cell j>, for every cell that ran."""
    weights = torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64, requires_grad=True)
    outputs = [torch.randn(2, 3, 4, 4, dtype=torch.float64) for _ in range(3)]
    from compactnas.search.sampling import _DepthMixture, _DrawnDepth

    run = 3 if mode == "mixture" else 2
    mix = _DepthMixture(weights, 1) if mode == "mixture" else _DrawnDepth(weights, 1)
    y = mix(outputs[:run], 0)
    (y * 2.0).sum().backward()
    expected = [2.0 * outputs[j].sum() if j < run else torch.zeros((), dtype=torch.float64) for j in range(3)]
    torch.testing.assert_close(weights.grad[0], torch.stack(expected))


def test_two_sampled_inputs_run_two_edges_a_node_and_never_none() -> None:
    arch = architecture(search_depth=False, layout="nasnet")
    with torch.no_grad():
        arch.alpha[:, 0] += 2.0
    edges, counts = arch.space.edges, torch.zeros(len(arch.space.edges))
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        draw = Gdas(inputs=2).draw(arch, 5.0, generator, gradient=True)
        runs = [edge for edge, index in zip(edges, draw.sample.path, strict=True) if index >= 0]
        assert [sum(node == n for node, _ in runs) for n in range(arch.space.computed)] == [2, 2, 2, 2]
        assert DARTS_OPERATIONS.index("none") not in draw.sample.path
        assert draw.sample.weights is not None and draw.sample.weights.tolist() == [1.0] * len(edges)
        counts += torch.tensor([index >= 0 for index in draw.sample.path])
    assert (counts[9:] / 200 - 0.4).abs().max() < 0.12  # the last node's five edges have equal chances


def test_derivation_takes_the_strongest() -> None:
    arch = architecture(inputs_per_node=0)
    with torch.no_grad():
        arch.alpha.zero_()
        for edge, index in enumerate((2, 0, 3, 1, 7, 5)):
            arch.alpha[edge, index] = 1.0
        arch.depth_logits.zero_()
        arch.depth_logits[:, 2] = 1.0
    nodes = (
        (("sep_conv_3x3", 0),),
        (("none", 0), ("sep_conv_5x5", 1)),
        (("skip_connect", 0), ("max_pool_3x3", 1), ("dil_conv_5x5", 2)),
    )
    assert derive(arch) == Genotype(nodes, (3, 3, 3), 4)


def test_derivation_with_two_inputs_keeps_the_best_edges_and_never_none() -> None:
    arch = architecture(inputs_per_node=2)
    with torch.no_grad():
        arch.alpha.zero_()
        arch.alpha[:, 0] = 9.0
        for edge, strength in enumerate((1.0, 1.0, 2.0, 3.0, 1.0, 2.0)):
            arch.alpha[edge, 2] = strength
    sep = "sep_conv_3x3"
    assert derive(arch).nodes == (((sep, 0),), ((sep, 0), (sep, 1)), ((sep, 0), (sep, 2)))


def test_derivation_never_cuts_the_output_off() -> None:
    arch = architecture(inputs_per_node=0)
    with torch.no_grad():
        arch.alpha.zero_()
        arch.alpha[:, 0] = 5.0
        arch.alpha[3, DARTS_OPERATIONS.index("avg_pool_3x3")] = 1.0
    found = derive(arch)
    assert found.is_connected
    assert found.nodes[2][0] == ("avg_pool_3x3", 0)
