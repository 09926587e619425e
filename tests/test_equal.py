"""The fast step computes what a plain GDAS step in the published order computes, on the same draws."""

from __future__ import annotations

import pytest
import torch
from plain_gdas import PlainGdas

from compactnas.config import MachineConfig, SearchConfig
from compactnas.data import Normalisation
from compactnas.data.source import ArraySource, Facts
from compactnas.loop import make_fabric
from compactnas.search import Search
from compactnas.space import LAYOUTS, Space

# Small, so that float32's rounding turns no ReLU or maximum over: one that does moves a gradient by
# more than any tolerance, in the published order of operations as in ours.
BANDS, CLASSES, SIDE, BATCH, DEPTH, TAU = 4, 5, 8, 6, 2, 10.0
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}


def make_search(layout: str, dtype: torch.dtype) -> tuple[Search, list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2 * BATCH, BANDS, SIDE, SIDE, generator=generator)
    labels = torch.arange(2 * BATCH) % CLASSES
    facts = Facts("noise", tuple("abcd"), tuple("vwxyz"), SIDE, labels.numpy())
    rows = torch.arange(2 * BATCH).numpy()
    search = Search(
        Space(layout=layout, channels=4),
        SearchConfig(complexity=False, depth=False, fixed_depth=DEPTH, batch_size=BATCH),
        ArraySource(facts, images.numpy()),
        (rows[:BATCH], rows[BATCH:]),
        Normalisation((0.0,) * BANDS, (1.0,) * BANDS),
        0,
        make_fabric(MachineConfig(device="cpu", threads=1)),
        channels_last=True,
    )
    search.supernet.to(dtype)
    search.architecture.to(dtype)
    return search, [images.to(dtype)[:BATCH], labels[:BATCH], images.to(dtype)[BATCH:], labels[BATCH:]]


def distance(ours: list[torch.Tensor], plain: list[torch.Tensor]) -> float:
    """Of two lists of tensors, relative to the norm of the second."""
    flat = [torch.cat([t.detach().double().flatten() for t in tensors]) for tensors in (ours, plain)]
    return float((flat[0] - flat[1]).norm() / flat[1].norm())


def used_gradients(parameters: list[torch.Tensor]) -> list[torch.Tensor]:
    return [p.grad for p in parameters if p.grad is not None]


def same_noise(search: Search, seed: int) -> list[torch.Tensor]:
    """The Gumbel noise of the search's next two draws."""
    search.generator.manual_seed(seed)
    generator, alpha = torch.Generator().manual_seed(seed), search.architecture.alpha
    return [-torch.empty_like(alpha).detach().exponential_(generator=generator).log() for _ in range(2)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_losses_and_gradients_equal_the_published_order_of_operations(
    layout: str, dtype: torch.dtype, seed: int
) -> None:
    search, (x, y, x_alpha, y_alpha) = make_search(layout, dtype)
    near, noise = TOLERANCE[dtype], same_noise(search, seed)
    plain = PlainGdas(search.supernet.module, search.architecture)
    loss = plain.weight_step((x, y), noise[0], TAU)
    ours, _ = search.weight_step(x, y, TAU, 0.025)
    assert distance([ours], [loss]) < near
    gradients = used_gradients(search.parameters), used_gradients(list(plain.net.parameters()))
    assert len(gradients[0]) == len(gradients[1]) > 0
    largest = max(float(g.norm()) for g in gradients[1])
    for one, other in zip(*gradients, strict=True):  # a gradient that is zero but for rounding has no relative error
        assert float((one - other).norm()) < near * max(float(other.norm()), 1e-3 * largest)

    plain = PlainGdas(search.supernet.module, search.architecture)
    loss = plain.alpha_step((x_alpha, y_alpha), noise[1], TAU)
    ours, _, _ = search.alpha_step(x_alpha, y_alpha, TAU)
    assert distance([ours], [loss]) < near
    alpha = search.architecture.alpha
    assert alpha.grad is not None and plain.alpha.grad is not None
    assert distance([alpha.grad], [plain.alpha.grad]) < near


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_weights_and_alpha_are_equal_after_three_steps(layout: str, dtype: torch.dtype) -> None:
    search, (x, y, x_alpha, y_alpha) = make_search(layout, dtype)
    plain = PlainGdas(search.supernet.module, search.architecture)
    alpha, drawn = search.architecture.alpha, set[int]()
    start = [p.detach().clone() for p in search.parameters]
    for step in range(3):
        noise = same_noise(search, step)
        drawn.update((alpha.detach().log_softmax(-1) + noise[1]).argmax(-1).tolist())
        plain.weight_step((x, y), noise[0], TAU)
        search.weight_step(x, y, TAU, 0.025)
        plain.alpha_step((x_alpha, y_alpha), noise[1], TAU)
        search.alpha_step(x_alpha, y_alpha, TAU)
    assert 0 in drawn and len(drawn) > 4  # `none` among them
    assert distance(search.parameters, start) > 50 * TOLERANCE[dtype]
    assert distance(search.parameters, list(plain.net.parameters())) < TOLERANCE[dtype]
    assert distance([alpha], [plain.alpha]) < TOLERANCE[dtype]
