"""All strategies of the registry against what every strategy promises, and planted mistakes that must be caught."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from support.strategy_checks import CHECKS
from support.tiny import write_patches
from torch import Tensor

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


class PenaltyAlone(NoGradient):
    """Plants the same mistake in a strategy whose penalty trains alpha."""

    def penalty(self, architecture: Architecture, draw: Draw, progress: float) -> Tensor | None:
        return progress * architecture.alpha.logsumexp(dim=-1).mean()


class FirstEdgeAlone(Darts):
    """Plants a draw in which only the first edge learns."""

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        draw = super().draw(architecture, tau, generator, gradient=gradient)
        mixture = draw.sample.mixture
        assert mixture is not None
        weights = torch.cat([mixture.weights[:1], mixture.weights[1:].detach()])
        return draw._replace(sample=draw.sample._replace(mixture=mixture._replace(weights=weights)))


class WithPenalty(Darts):
    """A sound penalty: a mistake in it is planted below."""

    def penalty(self, architecture: Architecture, draw: Draw, progress: float) -> Tensor | None:
        return progress * architecture.alpha.logsumexp(dim=-1).mean()


class DetachedPenalty(WithPenalty):
    """Plants a penalty without a gradient to the architecture."""

    def penalty(self, architecture: Architecture, draw: Draw, progress: float) -> Tensor | None:
        return progress * architecture.alpha.detach().logsumexp(dim=-1).mean()


class DetachedDecay(Darts):
    """Plants the same mistake in a penalty that an option turns on."""

    def penalty(self, architecture: Architecture, draw: Draw, progress: float) -> Tensor | None:
        penalty = super().penalty(architecture, draw, progress)
        return None if penalty is None else penalty.detach()


class WithoutDecay(Darts):
    """Plants an option without an effect."""

    def penalty(self, architecture: Architecture, draw: Draw, progress: float) -> Tensor | None:
        return None


class WritingPenalty(WithPenalty):
    """Plants a penalty that changes alpha."""

    def penalty(self, architecture: Architecture, draw: Draw, progress: float) -> Tensor | None:
        architecture.alpha.data.mul_(0.9)
        return super().penalty(architecture, draw, progress)


class TwiceThePasses(Darts):
    """Plants a wrong cost of a step."""

    alpha_passes: ClassVar[int] = 2 * Darts.alpha_passes


@pytest.mark.parametrize(
    ("mistake", "check"),
    [
        (MissingEdge, "samples"),
        (NoGradient, "gradient"),
        (PenaltyAlone, "gradient"),
        (FirstEdgeAlone, "gradient"),
        (DetachedPenalty, "penalty"),
        (DetachedDecay, "penalty"),
        (WithoutDecay, "penalty"),
        (WritingPenalty, "penalty"),
        (TwiceThePasses, "passes"),
    ],
)
def test_a_planted_mistake_is_caught(patches: Path, mistake: type[Darts], check: str) -> None:
    CHECKS[check](WithPenalty, patches)
    with pytest.raises(AssertionError):
        CHECKS[check](mistake, patches)


def test_a_misspelt_strategy_is_told_the_near_name() -> None:
    with pytest.raises(UserError, match=r"search\.strategy: unknown strategy 'proxiless'; did you mean 'proxyless'\?"):
        SearchConfig(strategy="proxiless")
