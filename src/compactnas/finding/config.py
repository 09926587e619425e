"""Options of `find`, as a frozen dataclass, and its recipe for searches and trainings. Torch is not imported here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from compactnas.config import RunConfig, TrainConfig, quick
from compactnas.errors import UserError

PLANNED = {
    "search": {"epochs", "max_steps", "stop_after"},
    "train": {"epochs", "max_steps", "validate_every", "start_from"},
    "machine": {"devices", "nodes"},
}
"""Fields of each part of a config that the plan of a find sets."""


@dataclass(frozen=True)
class FindConfig:
    """Options of a find. `docs/find.md` gives the reason for each choice.

    Attributes:
        hours: Time for everything, in hours of this machine.
        folds: Number of folds of whole groups (cities, polygons, blocks) that are held out in turn; fewer if there are
            fewer groups.
        searches: Number of searches, each with other groups held out; by default as many as the time allows, up to one
            for each fold. 0 finds by random search alone, with the same time: the control of the searches.
        random_share: Share of the candidates that are drawn at random within the budget.
        ensemble: Teach the winner with an ensemble of the runners-up, unless train.teachers names other teachers.
    """

    hours: float = 2.0
    folds: int = 3
    searches: int | None = None
    random_share: float = 0.5
    ensemble: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.hours <= 10_000:
            raise UserError(f"hours: {self.hours:g} is outside 0 to 10000; give a number of hours, such as 2")
        if not 2 <= self.folds <= 100:
            raise UserError(f"folds: {self.folds} is outside 2 to 100; give a number in this range, such as 3")
        if self.searches is not None and not 0 <= self.searches <= self.folds:
            raise UserError(
                f"searches: {self.searches} is outside 0 to {self.folds}, the number of folds; give a number in this "
                "range, or more folds"
            )
        if not 0.1 <= self.random_share <= 0.9:
            raise UserError(f"random_share: {self.random_share:g} is outside 0.1 to 0.9; give a share such as 0.5")


def find_recipe() -> RunConfig:
    """Make the config of a find: the searches of `quick`, and the trainings with the recipe of `docs/results.md`.

    A search measures half as many networks at its end as that of `quick`, because `find` ranks all candidates with the
    supernets anyway.
    """
    return RunConfig(
        search=replace(quick().search, candidates=32),
        train=TrainConfig(
            learning_rate=0.1, weight_decay=1e-3, augment="dihedral", radiometric_jitter=0.1, average_last=0.5
        ),
    )
