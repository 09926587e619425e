"""Beta-decay, the published variants of GDAS, halves by group and the complexity loss without a scale."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny import new_search, tiny_config, write_patches

from compactnas.config import SearchConfig
from compactnas.cost.table import CostTable
from compactnas.errors import UserError
from compactnas.pipeline.running import search_stage
from compactnas.search.architecture import Architecture
from compactnas.search.loading import load_search
from compactnas.search.objective import ObjectiveContext
from compactnas.search.objectives.complexity import ComplexityLoss, mean_cost
from compactnas.search.random_genotype import random_genotype
from compactnas.search.strategies import STRATEGIES
from compactnas.search.strategies._beta_decay import beta_decay
from compactnas.search.strategies.gdas import Gdas
from compactnas.space.search_space import Space

DECAYING = tuple(name for name in STRATEGIES if "beta_decay" in STRATEGIES[name].options)


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patches(tmp_path_factory.mktemp("tiny") / "patches.npz")


def architecture(space: Space, scale: float = 1000.0) -> Architecture:
    made = Architecture(space, False, 2, 0.0, torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        made.alpha.mul_(scale)
    return made


# Beta-decay


def test_beta_decay_is_the_rising_mean_of_log_sum_exp_and_pulls_by_the_softmax() -> None:
    arch = architecture(Space(channels=4, nodes=3))
    for progress in (0.0, 0.25, 1.0):
        loss = beta_decay(arch, 8.0, progress)
        assert loss is not None
        expected = 8 * progress * arch.alpha.detach().exp().sum(-1).log().mean()
        torch.testing.assert_close(loss.detach(), expected)
        (gradient,) = torch.autograd.grad(loss, arch.alpha)
        torch.testing.assert_close(gradient, 8 * progress / 3 * arch.probabilities().detach())
    assert beta_decay(arch, 0.0, 1.0) is None


@pytest.mark.parametrize("strategy", DECAYING)
def test_it_is_added_to_the_loss_of_the_architecture(patches: Path, strategy: str) -> None:
    space: dict[str, object] = {"nodes": 2, "blocks": 1}
    settings: dict[str, object] = {"strategy": strategy, "complexity": False, "search_depth": False}
    gradients = []
    for more in ({}, {"beta_decay": 6.0}):
        search = new_search(patches, space=space, alpha_weight_decay=0.0, **settings, **more)
        (x, y), (x_t, y_t) = next(iter(search.alpha_batches.epoch(0))), next(iter(search.train_batches.epoch(0)))
        p = search.architecture.probabilities().detach().clone()
        found = search.bilevel.alpha_step(x, y, 1.0, len(y), (x_t, y_t, len(y_t)), 0.5)
        assert (found.penalty is None) == (not more)
        assert search.architecture.alpha.grad is not None
        gradients.append(search.architecture.alpha.grad.clone())
    torch.testing.assert_close(gradients[1] - gradients[0], 6.0 * 0.5 * p, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"beta_decay": 5.0}, r"search\.beta_decay: replaces the weight decay of alpha; give search\.alpha_weight_dec"),
        ({"beta_decay": -1.0, "alpha_weight_decay": 0.0}, r"search\.beta_decay: -1 is out of range; give 0 \(off\)"),
        ({"beta_decay": 5.0, "alpha_weight_decay": 0.0, "strategy": "uniform"}, r"search\.beta_decay: uniform does no"),
        ({"normalized_operations": ("avg_pool",)}, r"search\.normalized_operations: unknown operation 'avg_pool'; did"),
        ({"complexity_scale": "share", "complexity_unit": 1e3}, r"search\.complexity_scale: share divides by the mean"),
        ({"strategy": "gdas_nasnet", "unsampled_gradient": "published"}, r"search\.unsampled_gradient: gdas_nasnet do"),
    ],
)
def test_what_does_not_go_together_is_told(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        SearchConfig(**settings)  # type: ignore[arg-type]
    assert len(str(caught.value).splitlines()) == 1


# The published variants of GDAS


@pytest.mark.parametrize(("name", "gradient"), [("gdas_nas_bench_201", "published"), ("gdas_nasnet", "none")])
def test_a_preset_draws_as_gdas_with_its_gradient(name: str, gradient: str) -> None:
    arch = architecture(Space(channels=4))
    config = SearchConfig(strategy=name, sampled_inputs=2, depth_mode="sample")
    preset = STRATEGIES[name].build(config)
    plain = Gdas.build(replace(config, strategy="gdas", unsampled_gradient=gradient))
    drawn = [one.draw(arch, 2.0, torch.Generator().manual_seed(1), gradient=True) for one in (preset, plain)]
    assert drawn[0].sample.path == drawn[1].sample.path
    assert (drawn[0].sample.silent is not None) == (drawn[1].sample.silent is not None) == (gradient == "published")


@pytest.mark.parametrize(("name", "decays"), [("gdas", False), ("gdas_nas_bench_201", True), ("gdas_nasnet", True)])
def test_weights_that_did_not_run_decay_with_the_published_presets(patches: Path, name: str, decays: bool) -> None:
    search = new_search(patches, strategy=name)
    x, y = next(iter(search.train_batches.epoch(0)))
    weights = [p.detach().clone() for p in search.bilevel.parameters]
    search.bilevel.weight_step(x, y, 5.0, 0.025)
    still = [torch.equal(a, b) for a, b in zip(weights, search.bilevel.parameters, strict=True) if a.abs().sum() > 0]
    assert any(still) != decays


# D_T and D_V by group


def test_a_search_by_group_keeps_its_halves_apart_and_is_loaded_with_them(patches: Path, tmp_path: Path) -> None:
    with np.load(patches) as made:
        groups = np.array([f"city {row // 12}" for row in range(len(made["labels"]))])
        np.savez(tmp_path / "grouped.npz", **made, group=groups)
    settings = {"halves": "groups", "batch_size": 12, "epochs": 1}
    config = tiny_config(tmp_path / "grouped.npz", space={"nodes": 2, "blocks": 1}, search=settings)
    search_stage(config, tmp_path / "run")
    with np.load(tmp_path / "run" / "search" / "splits.npz") as split:
        halves = split["weights"], split["architecture"]
    assert not set(groups[halves[0]]) & set(groups[halves[1]])
    loaded = load_search(tmp_path / "run")
    for batches, half in zip((loaded.train_batches, loaded.alpha_batches), halves, strict=True):
        np.testing.assert_array_equal(batches.indices, half)


# The complexity loss as a share


@pytest.mark.parametrize("alpha_per", ["block", "layer"])
def test_the_mean_cost_of_layers_is_that_of_random_networks(alpha_per: str) -> None:
    space = Space(layout="mobile", channels=8, max_depth=3, alpha_per=alpha_per)
    given = context(space, complexity_scale="share", search_depth=True)
    generator = torch.Generator().manual_seed(0)
    drawn = [float(given.macs.cells(space, random_genotype(space, generator)).sum()) for _ in range(4000)]
    assert mean_cost(given) == pytest.approx(sum(drawn) / len(drawn), rel=0.02)


def context(space: Space, **settings: object) -> ObjectiveContext:
    config = SearchConfig(**{"search_depth": False, "initial_depth": 2} | settings)  # type: ignore[arg-type]
    return ObjectiveContext(config, space, CostTable.of(space, 5, 3, 10, 16))


def loss_of(arch: Architecture, given: ObjectiveContext) -> torch.Tensor:
    draw = Gdas().draw(arch, 1.0, torch.Generator().manual_seed(0), gradient=True)
    return ComplexityLoss.build(given).loss(arch, draw)


@pytest.mark.parametrize("channels", [4, 8, 16])
def test_the_mean_of_the_space_costs_the_weight_at_every_size(channels: int) -> None:
    space = Space(channels=channels)
    even = architecture(space, 0.0)
    share = loss_of(even, context(space, complexity_scale="share", complexity_weight=0.02))
    torch.testing.assert_close(float(share.detach()), 0.02)
    searched = Architecture(space, True, 3, 0.0, torch.Generator()).double()
    with torch.no_grad():
        searched.alpha.zero_()
    found = loss_of(searched, context(space, complexity_scale="share", complexity_weight=0.02, search_depth=True))
    torch.testing.assert_close(float(found.detach()), 0.02)


def test_it_is_the_loss_of_the_paper_up_to_a_factor() -> None:
    """The share has the gradient of the loss in MACs at the weight w x N_ops x unit / mean."""
    space = Space(channels=8)
    arch = architecture(space)
    table = CostTable.of(space, 5, 3, 10, 16)
    mean = 2 * len(space.edges) * float(table.operations.mean(dim=1).sum())
    gradients = [
        torch.autograd.grad(loss_of(arch, context(space, **settings)), arch.alpha)[0]
        for settings in (
            {"complexity_scale": "share", "complexity_weight": 1.0},
            {"complexity_weight": len(space.operations) * 1e6 / mean},
        )
    ]
    torch.testing.assert_close(*gradients)
    assert ComplexityLoss.build(context(space)).unit == 1e6, "the default is the paper's"


def test_a_space_without_a_cost_has_no_share() -> None:
    with pytest.raises(UserError, match=r"search\.complexity_scale: share needs an operation with MACs"):
        ComplexityLoss.build(context(Space(operations=("skip_connect", "max_pool_3x3")), complexity_scale="share"))
