"""A whole run, and a recipe for each purpose."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from compactnas.config.choices import STRATEGIES
from compactnas.config.data import DataConfig
from compactnas.config.machine import MachineConfig
from compactnas.config.requiring import require
from compactnas.config.search import SearchConfig
from compactnas.config.train import TrainConfig
from compactnas.space.genotype import MAX_DEPTH
from compactnas.space.search_space import Space


@dataclass(frozen=True)
class RunConfig:
    """A whole run: search, retraining, evaluation.

    Attributes:
        data: Data of the run.
        space: Search space.
        search: Search.
        train: Training from scratch.
        machine: Device and processes.
        seed: Random seed of everything but the split.
    """

    data: DataConfig = field(default_factory=DataConfig)
    space: Space = field(default_factory=Space)
    search: SearchConfig = field(default_factory=SearchConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    machine: MachineConfig = field(default_factory=MachineConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        space, depth = self.space, self.search.initial_depth
        require(self.seed >= 0, f"seed: {self.seed} is negative; give 0 or more")
        require(self.seed < 2**63, f"seed: {self.seed} does not fit in 64 bits; give less than 2^63")
        require(
            not self.search.search_depth
            or space.min_depth <= depth <= space.max_depth
            or not STRATEGIES[self.search.strategy].learns_alpha,  # it draws depths uniformly
            f"search.initial_depth: {depth} is outside {space.min_depth} to {space.max_depth}; change it, or "
            "space.min_depth and space.max_depth",
        )
        require(
            depth <= MAX_DEPTH,
            f"search.initial_depth: {depth} is more than {MAX_DEPTH} cells in a block; give {MAX_DEPTH} or fewer",
        )
        require(
            self.search.search_depth or space.alpha_per == "block" or depth <= space.max_depth,
            f"search.initial_depth: {depth} is above space.max_depth={space.max_depth}, the number of layers that have "
            "a row of alpha; change one of them",
        )
        name = self.search.strategy
        if len(space.operations) == 1:  # checked first, because the traits of a strategy import torch
            least = STRATEGIES[name].least_operations
            require(
                least == 1, f"space.operations: search.strategy={name} needs at least {least} operations; add another"
            )
        if self.machine.precision == "16-mixed":
            require(
                STRATEGIES[name].scaled_gradients,
                f"machine.precision: search.strategy={name} cannot use the scaled gradients of 16-mixed; "
                "use bf16-mixed or 32-true",
            )

    def with_whole_paths(self) -> RunConfig:
        """Make the paths of all files that the config names independent of the current folder."""
        data, train, search = self.data, self.train, self.search
        return replace(
            self,
            data=replace(
                data,
                path=_whole(data.path),
                labels=_whole(data.labels),
                mask=",".join(map(_whole, data.mask.split(","))),
                split_csv=_whole(data.split_csv),
            ),
            search=replace(search, latency_table=_whole(search.latency_table)),
            train=replace(train, teachers=tuple(map(_whole, train.teachers)), start_from=_whole(train.start_from)),
        )


def _whole(path: str) -> str:
    """Make a path absolute; an empty one stays empty."""
    return path and str(Path(path).absolute())


def paper() -> RunConfig:
    """Settings of the paper: S+C+D, 105 epochs of search and 105 of retraining."""
    return RunConfig()


def quick() -> RunConfig:
    """Settings for a CPU and a few thousand patches: main effects instead of GDAS, fewer epochs, augmentation.

    `docs/cures.md` has the measurement that chose the strategy. `alpha_learning_rate` is for other strategies.
    """
    return RunConfig(
        search=SearchConfig(
            strategy="effects",
            candidates=64,
            skip_limit="limit",
            skip_limit_operations=("skip_connect", "avg_pool_3x3", "max_pool_3x3"),
            skip_limit_edges=3,
            epochs=25,
            alpha_learning_rate=0.01,
            augment="dihedral",
        ),
        train=TrainConfig(epochs=30, learning_rate=0.05, augment="dihedral"),
    )


def smoke() -> RunConfig:
    """Settings that check in about a minute for each stage that everything works; the results mean nothing."""
    return RunConfig(
        space=Space(channels=8, max_depth=3),
        search=SearchConfig(epochs=2, alpha_learning_rate=0.03, initial_depth=2, batch_size=32, augment="dihedral"),
        train=TrainConfig(epochs=3, learning_rate=0.05, augment="dihedral"),
    )


RECIPES = {"paper": paper, "quick": quick, "smoke": smoke}
