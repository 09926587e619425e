"""Conformance checks for search strategies; a failed check raises an `AssertionError`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from compactnas.config import SearchConfig
from compactnas.nn.network import Network
from compactnas.nn.supernet import SuperNet
from compactnas.search.architecture import Architecture
from compactnas.search.searcher import Searcher
from compactnas.search.strategy import Strategy
from compactnas.space.search_space import Space
from support.tiny import BANDS, CLASSES, SIDE, new_search

SPACES = {
    "paper": Space(channels=4, nodes=3, blocks=2, max_depth=2, operations=("none", "skip_connect", "sep_conv_3x3")),
    "widths": Space(channels=4, nodes=3, blocks=2, max_depth=2, widths=(0.5, 1.0), operations=("none", "sep_conv_3x3")),
    "mobile": Space(layout="mobile", channels=4, blocks=2, max_depth=2, operations=("mb_k3_e1", "fused_k3_e2")),
    "layers": Space(
        layout="mobile",
        blocks=2,
        max_depth=2,
        channels_by_block=(4, 6),
        widths=(0.5, 1.0),
        alpha_per="layer",
        operations=("mb_k3_e1", "mb_k5_e2", "fused_k3_e2"),
    ),
    "nasnet": Space(layout="nasnet", channels=4, blocks=2, max_depth=2, operations=("skip_connect", "sep_conv_3x3")),
}
EQUAL_COST = ("sep_conv_3x3", "dil_conv_3x3")
"""Operations with the same MACs, so that the cost of a draw does not depend on chance."""


def architecture_of(space: Space) -> Architecture:
    return Architecture(space, True, 1, 1.0, torch.Generator().manual_seed(0))


@cache
def supernet_of(space: Space) -> SuperNet:
    """Supernet of a space, made once for all strategies."""
    torch.manual_seed(0)
    return SuperNet(space, architecture_of(space).built_depths, BANDS, CLASSES).requires_grad_(False)


def searching(cls: type[Strategy], patches: Path, space: dict[str, object] | None = None, **more: object) -> Searcher:
    """Make a search with this strategy."""
    search = new_search(patches, space={"blocks": 1, "nodes": 3} | (space or {}), strategy="darts", **more)
    search.strategy = search.bilevel.strategy = cls.build(search.config)
    return search


def step(search: Searcher) -> None:
    (x, y), (x_t, y_t) = next(iter(search.alpha_batches.epoch(0))), next(iter(search.train_batches.epoch(0)))
    search.bilevel.alpha_step(x, y, 1.0, len(y), (x_t, y_t, len(y_t)), 0.5)


class LossAlone:
    """A strategy without its penalty: alpha learns by the loss on D_V alone."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy

    def __getattr__(self, name: str) -> Any:
        return getattr(self.strategy, name)

    def penalty(self, *_: object) -> None:
        """Add nothing."""


def check_samples(cls: type[Strategy], patches: Path) -> None:
    """Check that the supernet can run every draw."""
    for space in SPACES.values():
        architecture, supernet = architecture_of(space), supernet_of(space)
        strategy, generator = cls.build(SearchConfig()), torch.Generator().manual_seed(1)
        for gradient in (False, True) if cls.learns_alpha else (False,):
            for _ in range(4):
                sample, operations, _ = strategy.draw(architecture, 1.0, generator, gradient=gradient)
                assert len(sample.path) == len(space.edges), "a path has one operation for each edge"
                assert all(-1 <= index < len(space.operations) for index in sample.path)
                assert len(sample.depths) == space.blocks
                assert all(space.min_depth <= depth <= space.max_depth for depth in sample.depths)
                assert operations.shape == architecture.alpha.shape
                if sample.mixture is not None:
                    assert sample.mixture.weights.shape == architecture.alpha.shape
                    assert len(sample.mixture.candidates) == len(space.edges)
                assert (sample.widths is None) == (not space.widths)
                logits = supernet(torch.randn(2, BANDS, SIDE, SIDE), sample)
                assert logits.shape == (2, CLASSES) and bool(logits.isfinite().all())
                assert logits.requires_grad == gradient, "gradients lead to the architecture in its own step only"


def check_gradient(cls: type[Strategy], patches: Path) -> None:
    """Check that an architecture step changes alpha and depths by the loss on D_V, but no weights."""
    if not cls.learns_alpha:
        return
    # Leave out `none`, which has no gradient.
    search = searching(cls, patches, {"operations": EQUAL_COST, "inputs_per_node": 0}, complexity=False)
    search.bilevel.strategy = LossAlone(search.bilevel.strategy)  # a penalty would hide that nothing else arrives
    weights = [p.detach().clone() for p in search.bilevel.parameters]
    before = [p.detach().clone() for p in search.bilevel.choices]
    step(search)
    for choice, old in zip(search.bilevel.choices, before, strict=True):
        assert choice.grad is not None and float(choice.grad.abs().sum()) > 0, "no gradient reaches the architecture"
        assert not torch.equal(choice, old)
    alpha = search.architecture.alpha.grad
    assert alpha is not None and bool((alpha.abs().sum(dim=-1) > 0).all()), "no gradient reaches some edges"
    assert all(torch.equal(a, b) for a, b in zip(weights, search.bilevel.parameters, strict=True))
    assert all(p.requires_grad and p.grad is None for p in search.bilevel.parameters)


def check_reproducible(cls: type[Strategy], patches: Path) -> None:
    """Check that draws depend only on the state of the generator and on the architecture."""
    architecture = architecture_of(SPACES["widths"])
    strategy, generator = cls.build(SearchConfig()), torch.Generator().manual_seed(5)
    gradients = (False, True, False) if cls.learns_alpha else (False, False)
    torch.manual_seed(1)
    state = generator.get_state()
    first = [strategy.draw(architecture, 1.0, generator, gradient=one) for one in gradients]
    after = generator.get_state()
    torch.manual_seed(2)
    generator.set_state(state)
    second = [strategy.draw(architecture, 1.0, generator, gradient=one) for one in gradients]
    for a, b in zip(first, second, strict=True):
        assert a.sample[:2] == b.sample[:2] and a.sample.widths == b.sample.widths
        assert torch.equal(a.operations, b.operations)
    assert torch.equal(after, generator.get_state())


def check_penalty(cls: type[Strategy], patches: Path) -> None:
    """Check that a penalty is one finite number on the CPU, changes nothing and trains the architecture."""
    if not cls.learns_alpha:
        return
    architecture = architecture_of(SPACES["paper"])
    with torch.no_grad():
        architecture.alpha.mul_(1000)  # decided, so that a gradient at even probabilities does not vanish
    before = [choice.detach().clone() for choice in architecture.parameters()]
    decay = [SearchConfig(beta_decay=5.0, alpha_weight_decay=0.0)] if "beta_decay" in cls.options else []
    for config, progress in product((SearchConfig(), *decay), (0.0, 0.5, 1.0)):
        strategy = cls.build(config)
        draw = strategy.draw(architecture, 1.0, torch.Generator().manual_seed(0), gradient=True)
        penalty = strategy.penalty(architecture, draw, progress)
        assert all(map(torch.equal, before, architecture.parameters())), "the penalty writes into the architecture"
        if penalty is None:
            assert not (config.beta_decay and progress), "search.beta_decay adds no penalty"
            continue
        is_number = penalty.shape == () and penalty.device.type == "cpu" and bool(penalty.isfinite())
        assert is_number, "a penalty is one finite number"
        if float(penalty.detach()):
            assert penalty.requires_grad, "the penalty is detached from the architecture"
            gradients = torch.autograd.grad(penalty, list(architecture.parameters()), allow_unused=True)
            assert any(one is not None and bool(one.any()) for one in gradients), "the penalty has no gradient"


def check_projection(cls: type[Strategy], patches: Path) -> None:
    """Check that alpha stays finite, and that a projection keeps the probabilities of operations that did not run."""
    if not cls.learns_alpha:
        return
    architecture = architecture_of(Space(channels=4, nodes=3, blocks=1, max_depth=1))
    strategy, generator = cls.build(SearchConfig()), torch.Generator().manual_seed(0)
    draw = strategy.draw(architecture, 1.0, generator, gradient=True)
    before, p = architecture.alpha.detach().clone(), architecture.probabilities().detach()
    with torch.no_grad():
        architecture.alpha.add_(torch.randn(architecture.alpha.shape, generator=generator))
    stepped = architecture.alpha.detach().clone()
    strategy.project_alpha(architecture, draw, before)
    assert bool(architecture.alpha.isfinite().all())
    if not torch.equal(stepped, architecture.alpha) and draw.sample.mixture is not None:
        ran = torch.zeros_like(p, dtype=torch.bool).scatter(-1, torch.tensor(draw.sample.mixture.candidates), True)
        torch.testing.assert_close(architecture.probabilities().detach()[~ran], p[~ran], rtol=1e-5, atol=1e-6)


def check_conclusion(cls: type[Strategy], patches: Path) -> None:
    """Check that the search ends with a connected network of the space within the budget."""
    search = searching(cls, patches, max_macs=60_000.0, candidates=3)
    genotype = search.conclude().genotype
    assert genotype.is_connected
    assert search.bilevel.budgets[0].cost_of(search.space, genotype) <= search.bilevel.budgets[0].most
    assert Network(genotype, BANDS, CLASSES)(torch.randn(2, BANDS, SIDE, SIDE)).shape == (2, CLASSES)


def check_passes(cls: type[Strategy], patches: Path) -> None:
    """Check `single_path` and `alpha_passes` against the counted MACs of a step."""
    space = {"operations": EQUAL_COST, "nodes": 4, "max_depth": 4, "inputs_per_node": 0}
    search = searching(cls, patches, space, complexity=False, search_depth=False, initial_depth=4)
    draw = search.bilevel.draw(1.0, gradient=False)
    assert cls.single_path == (draw.sample.mixture is None)
    assert cls.learns_alpha == (cls.alpha_passes > 0)
    if not cls.learns_alpha:
        return
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        search.supernet(next(iter(search.alpha_batches.epoch(0)))[0], draw.sample)
    with FlopCounterMode(display=False) as whole:
        step(search)
    passes = whole.get_total_flops() / forward.get_total_flops()
    # For grouped convolutions, torch counts too many MACs for the gradients of the weights.
    assert 0.75 * cls.alpha_passes < passes < 1.6 * cls.alpha_passes, f"{passes:.2f} passes, not {cls.alpha_passes}"


CHECKS: dict[str, Callable[[type[Strategy], Path], None]] = {
    name.removeprefix("check_"): check for name, check in globals().copy().items() if name.startswith("check_")
}
