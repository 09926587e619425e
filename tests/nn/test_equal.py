"""The fast step computes what a plain GDAS step in the published order computes, on the same draws."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Literal

import pytest
import torch
from plain_gdas import PlainGdas

from compactnas.config import MachineConfig, SearchConfig
from compactnas.data import Normalization
from compactnas.data.source import ArraySource, Facts
from compactnas.search.searcher import SearchData, Searcher
from compactnas.space.layouts import LAYOUTS
from compactnas.space.search_space import Space
from compactnas.training.runtime import make_fabric

BANDS, CLASSES, SIDE, BATCH, DEPTH, TAU = 4, 5, 8, 6, 2, 10.0
MORE: dict[str, dict[str, Any]] = {
    "mobile": {"alpha_per": "layer"},
    # Many edges, so a few operations: the cells of the other layouts have all of them.
    "nasnet": {"operations": ("none", "skip_connect", "sep_conv_3x3", "dil_conv_5x5", "max_pool_3x3")},
}


class Pair:
    """A search and the plain step on the same weights, made once and started anew for each seed."""

    def __init__(self, layout: str, dtype: torch.dtype, unsampled: Literal["none", "published"]) -> None:
        generator = torch.Generator().manual_seed(0)
        images = torch.randn(2 * BATCH, BANDS, SIDE, SIDE, generator=generator)
        labels = torch.arange(2 * BATCH) % CLASSES
        facts = Facts("noise", tuple("abcd"), tuple("vwxyz"), SIDE, labels.numpy())
        rows = torch.arange(2 * BATCH).numpy()
        self.search = Searcher(
            Space(layout=layout, channels=4, blocks=2, **MORE.get(layout, {})),
            SearchConfig(
                complexity=False,
                search_depth=False,
                initial_depth=DEPTH,
                batch_size=BATCH,
                unsampled_gradient=unsampled,
            ),
            SearchData(
                ArraySource(facts, images.numpy()),
                (rows[:BATCH], rows[BATCH:]),
                Normalization((0.0,) * BANDS, (1.0,) * BANDS),
            ),
            make_fabric(MachineConfig(device="cpu", threads=1)),
            seed=0,
            channels_last=True,
        )
        self.search.supernet.to(dtype)
        self.search.architecture.to(dtype)
        images = images.to(dtype)
        self.weights_batch = images[:BATCH], labels[:BATCH]
        self.alpha_batch = images[BATCH:], labels[BATCH:]
        self.plain = PlainGdas(self.search.supernet, self.search.architecture, published=unsampled == "published")
        self.start = [p.detach().clone() for p in self.trained]

    @property
    def trained(self) -> list[torch.Tensor]:
        """Weights and alpha of the search."""
        return [*self.search.bilevel.parameters, self.search.architecture.alpha]

    def restart(self) -> None:
        """Give both the first weights and alpha again, and empty optimisers."""
        set_all(self.trained, self.start)
        set_all([*self.plain.net.parameters(), self.plain.alpha], self.start)
        for optimizer in (self.search.bilevel.weights.optimizer, self.search.bilevel.alphas.optimizer):
            optimizer.state.clear()
        for optimizer in (self.plain.weights, self.plain.alphas):
            optimizer.state.clear()


PAIR = cache(Pair)
"""One pair for each layout, precision and gradient."""


def set_all(tensors: Iterable[torch.Tensor], values: Iterable[torch.Tensor]) -> None:
    with torch.no_grad():
        for tensor, value in zip(tensors, values, strict=True):
            tensor.copy_(value)


def distance(ours: list[torch.Tensor], plain: list[torch.Tensor]) -> float:
    """Of two lists of tensors, relative to the norm of the second."""
    flat = [torch.cat([t.detach().double().flatten() for t in tensors]) for tensors in (ours, plain)]
    return float((flat[0] - flat[1]).norm() / flat[1].norm())


def used_gradients(parameters: list[torch.Tensor]) -> list[torch.Tensor]:
    return [p.grad for p in parameters if p.grad is not None]


def same_noise(search: Searcher, seed: int) -> list[torch.Tensor]:
    """The Gumbel noise of the search's next two draws."""
    search.bilevel.generator.manual_seed(seed)
    generator, alpha = torch.Generator().manual_seed(seed), search.architecture.alpha
    return [-torch.empty_like(alpha).detach().exponential_(generator=generator).log() for _ in range(2)]


def one_step(
    layout: str, dtype: torch.dtype, seed: int, unsampled: Literal["none", "published"] = "none"
) -> dict[str, float]:
    """Relative errors of both losses, of every used weight's gradient (the largest) and of alpha's."""
    pair = PAIR(layout, dtype, unsampled)
    pair.restart()
    search, plain = pair.search, pair.plain
    noise = same_noise(search, seed)
    loss = plain.weight_step(pair.weights_batch, noise[0], TAU)
    found = {"loss of the weights": distance([search.bilevel.weight_step(*pair.weights_batch, TAU, 0.025)[0]], [loss])}
    gradients = used_gradients(search.bilevel.parameters), used_gradients(list(plain.net.parameters()))
    assert len(gradients[0]) == len(gradients[1]) > 0
    least = 1e-3 * max(float(g.norm()) for g in gradients[1])  # what is zero but for rounding has no relative error
    pairs = zip(*gradients, strict=True)
    found["gradients of the weights"] = max(
        float((one - other).norm()) / max(float(other.norm()), least) for one, other in pairs
    )

    set_all(plain.net.parameters(), search.bilevel.parameters)  # alpha's step alone is compared
    loss = plain.alpha_step(pair.alpha_batch, noise[1], TAU)
    found["loss of alpha"] = distance([search.bilevel.alpha_step(*pair.alpha_batch, TAU)[0]], [loss])
    found["gradient of alpha"] = distance([search.architecture.alpha.grad], [plain.alpha.grad])
    return found


def three_steps(layout: str, dtype: torch.dtype, seed: int) -> dict[str, float]:
    """Relative errors of weights and alpha after three steps of both."""
    pair = PAIR(layout, dtype, "none")
    pair.restart()
    search, plain = pair.search, pair.plain
    alpha, drawn = search.architecture.alpha, set[int]()
    start = [p.detach().clone() for p in search.bilevel.parameters]
    for step in range(3):
        noise = same_noise(search, 3 * seed + step)
        drawn.update((alpha.detach().log_softmax(-1) + noise[1]).argmax(-1).tolist())
        plain.weight_step(pair.weights_batch, noise[0], TAU)
        search.bilevel.weight_step(*pair.weights_batch, TAU, 0.025)
        plain.alpha_step(pair.alpha_batch, noise[1], TAU)
        search.bilevel.alpha_step(*pair.alpha_batch, TAU)
    assert len(drawn) > 4
    assert distance(search.bilevel.parameters, start) > 5e-3
    return {
        "weights": distance(search.bilevel.parameters, list(plain.net.parameters())),
        "alpha": distance([alpha], [plain.alpha]),
    }


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("errors", [one_step, three_steps])
def test_double_precision_equals_the_published_order_of_operations(
    errors: Callable[[str, torch.dtype, int], dict[str, float]], layout: str
) -> None:
    for seed in range(3):
        found = errors(layout, torch.float64, seed)
        assert max(found.values()) < 1e-9, found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_published_gradient_of_unsampled_operations_too(layout: str) -> None:
    for seed in range(2):
        found = one_step(layout, torch.float64, seed, "published")
        assert max(found.values()) < 1e-9, found


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("errors", [one_step, three_steps])
def test_single_precision_equals_the_published_order_of_operations(
    errors: Callable[[str, torch.dtype, int], dict[str, float]], layout: str
) -> None:
    """Rounding can turn a ReLU or a maximum over, here as in the published order, and that moves a gradient by
    more than any tolerance. It is rare at this size, so the median of five seeds has to be near."""
    found = [errors(layout, torch.float32, seed) for seed in range(5)]
    for name in found[0]:
        assert statistics.median(one[name] for one in found) < 1e-4, (name, found)
