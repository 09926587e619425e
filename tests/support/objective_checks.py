"""Conformance checks for cost objectives; a failed check raises an `AssertionError`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from compactnas.config import SearchConfig
from compactnas.cost.constraints import Budget
from compactnas.cost.table import CostTable
from compactnas.search.architecture import Architecture
from compactnas.search.derivation import derive
from compactnas.search.expected_cost import expected_cost
from compactnas.search.objective import CostObjective, ObjectiveContext
from compactnas.search.sampling import Draw
from compactnas.search.strategies.gdas import Gdas
from compactnas.space.search_space import Space

SPACE = Space(
    channels=4, blocks=2, nodes=3, max_depth=2, inputs_per_node=0, operations=("skip_connect", "sep_conv_3x3")
)
TABLE = CostTable.of(SPACE, 2, 4, 3, 8)


def architecture_of(scale: float = 1.0) -> Architecture:
    generator = torch.Generator().manual_seed(0)
    architecture = Architecture(SPACE, False, 2, 0.0, generator)
    with torch.no_grad():
        architecture.alpha.copy_(scale * torch.randn(architecture.alpha.shape, generator=generator))
    return architecture


def most_of(architecture: Architecture) -> float:
    """Return a budget halfway between the cost of the fixed parts and the expected cost of the architecture."""
    return (float(TABLE.fixed) + float(expected_cost(TABLE, architecture).detach())) / 2


def draw_of(architecture: Architecture) -> Draw:
    return Gdas().draw(architecture, 1.0, torch.Generator().manual_seed(0), gradient=True)


def build(cls: type[CostObjective], architecture: Architecture, most: float = 0.0) -> CostObjective:
    most = most or most_of(architecture)
    budgets = (Budget("macs", most, TABLE),) if cls.needs_budget else ()
    config = SearchConfig(complexity_weight=1.0, max_macs=most if budgets else 0.0)
    return cls.build(ObjectiveContext(config, SPACE, TABLE, budgets))


def check_scalar(cls: type[CostObjective]) -> None:
    """Check that the loss is one finite number on the CPU, in several states of the architecture."""
    for scale in (0.0, 1.0, 50.0):
        architecture = architecture_of(scale)
        loss = build(cls, architecture).loss(architecture, draw_of(architecture))
        assert loss.shape == () and loss.device.type == "cpu" and bool(loss.isfinite())


def check_pure(cls: type[CostObjective]) -> None:
    """Check that computing a loss changes neither the objective, nor the architecture, nor torch's random state."""
    architecture = architecture_of()
    objective, draw = build(cls, architecture), draw_of(architecture)
    objective.update(architecture, draw)
    state, alpha, random = objective.state(), architecture.alpha.detach().clone(), torch.get_rng_state()
    losses = [float(objective.loss(architecture, draw).detach()) for _ in range(3)]
    assert len(set(losses)) == 1 and objective.state() == state
    assert torch.equal(alpha, architecture.alpha) and torch.equal(random, torch.get_rng_state())


def check_gradient(cls: type[CostObjective]) -> None:
    """Check that the gradient reaches alpha and that following it makes networks cheaper."""
    architecture = architecture_of()
    objective, draw = build(cls, architecture), draw_of(architecture)
    before = float(expected_cost(TABLE, architecture).detach())
    loss = objective.loss(architecture, draw)
    assert loss.requires_grad, "no gradient reaches alpha"
    (gradient,) = torch.autograd.grad(loss, architecture.alpha)
    assert float(gradient.abs().sum()) > 0
    with torch.no_grad():
        architecture.alpha.sub_(gradient / gradient.norm() * 0.1)
    assert float(expected_cost(TABLE, architecture).detach()) < before


def check_state(cls: type[CostObjective]) -> None:
    """Check that a restored objective continues like an uninterrupted one."""
    architecture = architecture_of()
    draw = draw_of(architecture)
    one, other = build(cls, architecture), build(cls, architecture)
    for _ in range(3):
        one.update(architecture, draw)
    other.restore(one.state())
    one.update(architecture, draw)
    other.update(architecture, draw)
    assert one.state() == other.state()
    assert float(one.loss(architecture, draw).detach()) == float(other.loss(architecture, draw).detach())


def check_scale(cls: type[CostObjective]) -> None:
    """Check the scale of costs: a budget is met, and a certain architecture costs as much as its network."""
    if not cls.needs_budget:
        losses = [certain_loss(cls, operation) for operation in SPACE.operations]  # from cheap to expensive
        assert losses == sorted(set(losses)), f"a more expensive architecture has no larger loss: {losses}"
        return
    architecture = architecture_of(0.1)
    most = most_of(architecture)
    objective, draw = build(cls, architecture, most), draw_of(architecture)
    # Without momentum, which would carry a loss that only pushes far below the budget.
    optimizer = torch.optim.Adam([architecture.alpha], lr=0.05, betas=(0.0, 0.999))
    for _ in range(500):
        optimizer.zero_grad()
        objective.loss(architecture, draw).backward()
        objective.update(architecture, draw)
        optimizer.step()
    cost = float(expected_cost(TABLE, architecture).detach())
    assert 0.85 * most < cost < 1.02 * most, f"an expected cost of {cost / most:.3f} of the budget"


def check_every_budget(cls: type[CostObjective]) -> None:
    """Check that a budget that is exceeded counts beside one that is not, in either order."""
    if not cls.needs_budget:
        return
    architecture = architecture_of()
    draw, cost = draw_of(architecture), float(expected_cost(TABLE, architecture).detach())
    budgets = Budget("macs", most_of(architecture), TABLE), Budget("macs", 2 * cost, TABLE)
    for given in (budgets, budgets[::-1]):
        config = SearchConfig(max_macs=budgets[0].most, complexity_weight=1.0)
        loss = cls.build(ObjectiveContext(config, SPACE, TABLE, given)).loss(architecture, draw)
        (gradient,) = torch.autograd.grad(loss, architecture.alpha)
        assert bool(gradient.any()), "a budget that is exceeded does not count"


def certain_loss(cls: type[CostObjective], operation: str) -> float:
    """Return the loss of an architecture that is certain of one operation; check that it is its network's cost."""
    architecture = architecture_of(0.0)
    with torch.no_grad():
        architecture.alpha[:, SPACE.operations.index(operation)] = 1000.0
    objective = build(cls, architecture)
    loss = float(objective.loss(architecture, draw_of(architecture)).detach())
    assert loss == pytest.approx(objective.cost_of(SPACE, derive(architecture)), rel=1e-4)
    return loss


CHECKS: dict[str, Callable[[type[CostObjective]], None]] = {
    name.removeprefix("check_"): check for name, check in globals().copy().items() if name.startswith("check_")
}
