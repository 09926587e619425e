"""All strategies of the registry against what every strategy promises, and planted mistakes that must be caught."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from support.strategy_checks import CHECKS
from support.tiny import write_patches

from compactnas.config import SearchConfig
from compactnas.errors import UserError
from compactnas.search.architecture import Architecture
from compactnas.search.sampling import Draw
from compactnas.search.strategies import STRATEGIES
from compactnas.search.strategies.darts import Darts


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patches(tmp_path_factory.mktemp("tiny") / "patches.npz")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", STRATEGIES)
def test_strategy(patches: Path, name: str, check: str) -> None:
    CHECKS[check](STRATEGIES[name], patches)


class MissingEdge(Darts):
    """Plants a path of the wrong length."""

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        draw = super().draw(architecture, tau, generator, gradient=gradient)
        return draw._replace(sample=draw.sample._replace(path=draw.sample.path[:-1]))


class NoGradient(Darts):
    """Plants a draw whose weights are cut off from alpha."""

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        draw = super().draw(architecture, tau, generator, gradient=gradient)
        mixture = draw.sample.mixture
        assert mixture is not None
        return draw._replace(sample=draw.sample._replace(mixture=mixture._replace(weights=mixture.weights.detach())))


class TwiceThePasses(Darts):
    """Plants a wrong cost of a step."""

    alpha_passes: ClassVar[int] = 2 * Darts.alpha_passes


@pytest.mark.parametrize(
    ("mistake", "check"), [(MissingEdge, "samples"), (NoGradient, "gradient"), (TwiceThePasses, "passes")]
)
def test_a_planted_mistake_is_caught(patches: Path, mistake: type[Darts], check: str) -> None:
    CHECKS[check](Darts, patches)
    with pytest.raises(AssertionError):
        CHECKS[check](mistake, patches)


def test_a_misspelt_strategy_is_told_the_near_name() -> None:
    with pytest.raises(UserError, match=r"search\.strategy: unknown strategy 'proxiless'; did you mean 'proxyless'\?"):
        SearchConfig(strategy="proxiless")


def test_every_strategy_has_a_line_in_the_documentation(repository: Path) -> None:
    page = (repository / "docs" / "strategies.md").read_text(encoding="utf-8")
    assert not [name for name in STRATEGIES if f"`{name}`" not in page]
