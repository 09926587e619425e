"""All objectives of the registry against what every objective promises, and planted mistakes that must be caught."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.objective_checks import CHECKS
from torch import Tensor

from compactnas.config import SearchConfig
from compactnas.errors import UserError
from compactnas.search.architecture import Architecture
from compactnas.search.objectives import OBJECTIVES
from compactnas.search.objectives.augmented_lagrangian import AugmentedLagrangian
from compactnas.search.objectives.complexity import ComplexityLoss
from compactnas.search.sampling import Draw


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


class HalfTheExcess(AugmentedLagrangian):
    """Plants the same mistake in an objective with a budget."""

    @staticmethod
    def _excess(budget, architecture):  # type: ignore[no-untyped-def]
        return (AugmentedLagrangian._excess(budget, architecture) + 1) / 2 - 1


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
        (HalfTheExcess, "scale"),
        (MovesInTheLoss, "pure"),
    ],
)
def test_a_planted_mistake_is_caught(mistake: type, check: str) -> None:
    with pytest.raises(AssertionError):
        CHECKS[check](mistake)


def test_an_objective_that_does_not_fit_the_search_is_refused() -> None:
    with pytest.raises(UserError, match=r"search\.objective: unknown objective 'complexiti'; did you mean"):
        SearchConfig(objective="complexiti")
    with pytest.raises(UserError, match=r"search\.objective: augmented_lagrangian needs a budget; give search\.max_"):
        SearchConfig(objective="augmented_lagrangian")
    with pytest.raises(UserError, match=r"search\.objective: search\.complexity is off"):
        SearchConfig(objective="complexity", complexity=False)


def test_every_objective_has_a_line_in_the_documentation(repository: Path) -> None:
    page = (repository / "docs" / "budgets.md").read_text(encoding="utf-8")
    assert not [name for name in OBJECTIVES if f"`{name}`" not in page]
