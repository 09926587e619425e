"""Options of a selection, as a frozen dataclass. Torch is not imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from compactnas.errors import UserError

NAMES = ("supernet", "synflow", "naswot", "gradnorm", "parameters", "macs", "halving")
"""Names of the rankings in `compactnas.selection.rankings`."""


@dataclass(frozen=True)
class SelectConfig:
    """Options of candidates and rankings. `docs/select.md` gives the reason for each choice.

    Attributes:
        by: Rankings; the last one decides.
        candidates: Number of networks to compare.
        random: Number of candidates that are random cells of the same cost as the first search's network: the control.
        holdout: Held-out patches: the `validation` part, or `random` patches of the training part.
        holdout_fraction: Share of the training part that the hold-out `random` takes.
        initialisations: Number of initialisations that `synflow`, `naswot` and `gradnorm` average over.
        epochs: Number of epochs of the first rung of `halving`; each further rung ends after `eta` times as many.
        eta: Factor between rungs of `halving`: one in `eta` candidates goes to the next rung.
        rungs: Number of rungs of `halving`.
    """

    by: tuple[str, ...] = NAMES
    candidates: int = 24
    random: int = 0
    holdout: Literal["validation", "random"] = "validation"
    holdout_fraction: float = 0.2
    initialisations: int = 3
    epochs: int = 3
    eta: int = 3
    rungs: int = 3

    def __post_init__(self) -> None:
        unknown = [name for name in self.by if name not in NAMES]
        if unknown or not self.by:
            what = f"{unknown[0]!r} is unknown" if unknown else "no ranking is named"
            raise UserError(f"by: {what}; use some of {', '.join(NAMES)}")
        if len(set(self.by)) != len(self.by):
            raise UserError("by: name each ranking only once")
        for name, least in {"candidates": 2, "initialisations": 1, "epochs": 1, "eta": 2, "rungs": 1}.items():
            if getattr(self, name) < least:
                raise UserError(f"{name}: {getattr(self, name)} is less than {least}; give {least} or more")
        if not 0 <= self.random < self.candidates:
            raise UserError(
                f"random: {self.random} is not between 0 and {self.candidates - 1}; give fewer than the "
                f"{self.candidates} candidates"
            )
        if not 0 < self.holdout_fraction < 1:
            raise UserError(f"holdout_fraction: {self.holdout_fraction:g} is outside 0 to 1; give a share such as 0.2")


@dataclass(frozen=True)
class FrontConfig:
    """Options of a front: its budgets, and how networks are compared within each.

    Attributes:
        least: Smallest budget in MACs.
        most: Largest budget in MACs.
        points: Number of budgets, evenly spaced.
        samples: Number of networks of each search that are sampled within a budget, besides the most probable one.
        holdout: Held-out patches: the `validation` part, or `random` patches of the training part.
        holdout_fraction: Share of the training part that the hold-out `random` takes.
        retrain: Train each network and measure it on the test part; the front then uses the accuracy on the validation
            part.
    """

    least: float = 10e6
    most: float = 50e6
    points: int = 9
    samples: int = 7
    holdout: Literal["validation", "random"] = "validation"
    holdout_fraction: float = 0.2
    retrain: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.least < self.most < 1e15:
            raise UserError(
                f"least, most: {self.least:g} to {self.most:g} MACs is not a range; give numbers above 0, least below "
                "most"
            )
        if not 2 <= self.points <= 1000:
            raise UserError(f"points: {self.points} is outside 2 to 1000; give a number in this range")
        if not 0 <= self.samples <= 10_000:
            raise UserError(f"samples: {self.samples} is outside 0 to 10000; give a number in this range")

    @property
    def budgets(self) -> tuple[float, ...]:
        """Budgets in MACs, smallest first."""
        step = (self.most - self.least) / (self.points - 1)
        return tuple(float(round(self.least + step * place)) for place in range(self.points))
