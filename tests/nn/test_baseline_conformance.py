"""Every registered baseline keeps what a baseline promises, and the checks find planted mistakes."""

from __future__ import annotations

import pytest
from support.baseline_checks import CHECKS
from torch import Tensor, nn

from compactnas.nn.baselines import BASELINES, Baseline
from compactnas.nn.normalise import Normalise


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", BASELINES)
def test_baseline(name: str, check: str) -> None:
    CHECKS[check](BASELINES[name])


class Sound(nn.Module):
    """A network without a mistake, as far as normalisation and batches go."""

    def __init__(self, bands: int, classes: int) -> None:
        super().__init__()
        self.normalise = Normalise(bands)
        self.body = nn.Sequential(nn.Conv2d(bands, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(self.normalise(x)).mean(dim=(2, 3)))
        return logits


class NeverNormalises(Sound):
    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(x).mean(dim=(2, 3)))
        return logits


class NormalisesTwice(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.normalise(x))


class OtherName(NeverNormalises):
    def __init__(self, bands: int, classes: int) -> None:
        super().__init__(bands, classes)
        self.norm = self.normalise
        del self.normalise


class HiddenHead(Sound):
    """Its `head` is not the layer that computes the logits."""

    def __init__(self, bands: int, classes: int) -> None:
        super().__init__(bands, classes)
        self.last = nn.Linear(classes, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.last(super().forward(x))
        return logits


class BatchStatistics(Sound):
    def __init__(self, bands: int, classes: int) -> None:
        super().__init__(bands, classes)
        self.body[1] = nn.BatchNorm2d(8, track_running_stats=False)


class Constant(Sound):
    def forward(self, x: Tensor) -> Tensor:
        return 0 * super().forward(x)


@pytest.mark.parametrize(
    ("mistake", "check"),
    [
        (NeverNormalises, "normalises_once"),
        (NormalisesTwice, "normalises_once"),
        (OtherName, "normalises_once"),
        (BatchStatistics, "patches_alone"),
        (Constant, "patches_alone"),
        (HiddenHead, "head"),
    ],
)
def test_a_planted_mistake_is_caught(mistake: type[nn.Module], check: str) -> None:
    with pytest.raises(AssertionError):
        CHECKS[check](Baseline(mistake, "mistake"))


@pytest.mark.parametrize("check", CHECKS)
def test_a_network_without_mistakes_passes(check: str) -> None:
    CHECKS[check](Baseline(Sound, "sound"))
