"""All objectives of the registry against what every objective promises, and planted mistakes that must be caught."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support import objective_checks as checks
from support.objective_checks import CHECKS
from support.tiny import new_search, write_patches
from torch import Tensor

from compactnas.config import SearchConfig
from compactnas.config.choices import OBJECTIVE_OPTION, STRATEGY_OPTION
from compactnas.config.search import own_options
from compactnas.errors import UserError
from compactnas.search.architecture import Architecture
from compactnas.search.derivation import derive
from compactnas.search.objective import ObjectiveContext
from compactnas.search.objectives import OBJECTIVES
from compactnas.search.objectives.augmented_lagrangian import AugmentedLagrangian
from compactnas.search.objectives.complexity import ComplexityLoss
from compactnas.search.records import epoch_figures
from compactnas.search.sampling import Draw
from compactnas.search.strategies import STRATEGIES
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_objective(name: str, check: str) -> None:
    CHECKS[check](OBJECTIVES[name])


class Vector(ComplexityLoss):
    """Plants a loss of the wrong shape."""

    def loss(self, architecture: Architecture, draw: Draw) -> Tensor:
        return super().loss(architecture, draw) * torch.ones(2)


class NoGradient(ComplexityLoss):
    """Plants a loss that is cut off from alpha."""

    def loss(self, architecture: Architecture, draw: Draw) -> Tensor:
        return super().loss(architecture, draw).detach()


class HalfTheCost(ComplexityLoss):
    """Plants a cost that is off by two."""

    def loss(self, architecture: Architecture, draw: Draw) -> Tensor:
        return super().loss(architecture, draw) / 2


class NoCost(ComplexityLoss):
    """Plants a loss that is the same for all networks."""

    def loss(self, architecture: Architecture, draw: Draw) -> Tensor:
        return 0 * super().loss(architecture, draw)

    def cost_of(self, space: Space, genotype: Genotype) -> float:
        return 0.0


class HalfTheExcess(AugmentedLagrangian):
    """Plants the same mistake in an objective with a budget."""

    @staticmethod
    def _excess(budget, architecture):  # type: ignore[no-untyped-def]
        return (AugmentedLagrangian._excess(budget, architecture) + 1) / 2 - 1


class FirstBudgetAlone(AugmentedLagrangian):
    """Plants an objective that knows one budget."""

    @classmethod
    def build(cls, context: ObjectiveContext) -> AugmentedLagrangian:
        return cls(context.budgets[:1])

    def loss(self, architecture: Architecture, draw: Draw | None = None) -> Tensor:
        (excess,) = (self._excess(budget, architecture) for budget in self.budgets)
        return excess.clamp_min(0)


class MovesInTheLoss(AugmentedLagrangian):
    """Plants a loss that changes the objective."""

    def loss(self, architecture: Architecture, draw: Draw | None = None) -> Tensor:
        self.update(architecture)
        return super().loss(architecture, draw)


@pytest.mark.parametrize(
    ("mistake", "check"),
    [
        (Vector, "scalar"),
        (NoGradient, "gradient"),
        (HalfTheCost, "scale"),
        (NoCost, "scale"),
        (HalfTheExcess, "scale"),
        (FirstBudgetAlone, "every_budget"),
        (MovesInTheLoss, "pure"),
    ],
)
def test_a_planted_mistake_is_caught(mistake: type, check: str) -> None:
    with pytest.raises(AssertionError):
        CHECKS[check](mistake)


def test_the_complexity_loss_is_that_of_the_paper() -> None:
    """C_cpl (MACs of the cells) / (N_ops x 1e6), for an architecture that is certain of its network."""
    architecture = checks.architecture_of(1000.0)
    context = ObjectiveContext(SearchConfig(complexity_weight=0.5), checks.SPACE, checks.TABLE)
    loss = float(ComplexityLoss.build(context).loss(architecture, checks.draw_of(architecture)).detach())
    overhead = sum(checks.TABLE.overhead[block, 1] for block in range(checks.SPACE.blocks))
    cells = checks.TABLE.total(checks.SPACE, derive(architecture)) - checks.TABLE.fixed - overhead
    assert loss == pytest.approx(0.5 * float(cells) / (len(checks.SPACE.operations) * 1e6), rel=1e-4)


def test_an_objective_that_does_not_fit_the_search_is_refused() -> None:
    with pytest.raises(UserError, match=r"search\.objective: unknown objective 'complexiti'; did you mean"):
        SearchConfig(objective="complexiti")
    with pytest.raises(UserError, match=r"search\.objective: augmented_lagrangian needs a budget; give search\.max_"):
        SearchConfig(objective="augmented_lagrangian")
    with pytest.raises(UserError, match=r"search\.objective: search\.complexity is off"):
        SearchConfig(objective="complexity", complexity=False)
    with pytest.raises(UserError, match=r"search\.complexity_unit: augmented_lagrangian does not have this option"):
        SearchConfig(objective="augmented_lagrangian", max_macs=1e6, complexity_unit=1e3)
    assert SearchConfig(objective="complexity", complexity_unit=1e3).complexity_unit == 1e3


def test_every_option_of_an_entry_is_marked_in_the_config() -> None:
    for registry, only in ((STRATEGIES, STRATEGY_OPTION), (OBJECTIVES, OBJECTIVE_OPTION)):
        marked = own_options(SearchConfig, only)
        for name, entry in registry.items():
            missing = set(entry.options) - set(marked)
            assert not missing, f"{name}: mark {missing} in config/search.py with metadata={only}"


def test_the_metrics_list_multipliers_of_an_objective_with_a_state_alone(tmp_path: Path) -> None:
    patches = write_patches(tmp_path / "patches.npz")
    for objective, has_state in (("complexity", False), ("augmented_lagrangian", True)):
        search = new_search(patches, space={"nodes": 2, "blocks": 1}, objective=objective, max_macs=60_000.0)
        row = epoch_figures(search.bilevel, derive(search.architecture), search.skip_limit)
        assert ("multipliers" in row) == has_state
