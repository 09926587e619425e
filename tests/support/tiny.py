"""Data set and run so small that a whole search takes a second."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from compactnas.config import DataConfig, MachineConfig, RunConfig, SearchConfig, TrainConfig
from compactnas.data import halves, measure_normalization, open_dataset
from compactnas.search.searcher import SearchData, Searcher
from compactnas.space.search_space import Space
from compactnas.training.runtime import Silent, make_fabric

PATCHES, CLASSES, BANDS, SIDE = 96, 3, 4, 8


def write_patches(file: Path, patches: int = PATCHES) -> Path:
    """Write an `.npz` of patches whose class is the direction of stripes, with official parts."""
    rng = np.random.default_rng(0)
    labels = np.arange(patches) % CLASSES
    rows, columns = np.mgrid[:SIDE, :SIDE]
    stripes = np.stack([np.sin(rows), np.sin(columns), np.sin(rows + columns)])[labels]
    images = 0.3 + 0.1 * stripes[:, None] + rng.normal(0, 0.05, (patches, BANDS, SIDE, SIDE))
    split = np.where(np.arange(patches) % 4 == 3, "test", np.where(np.arange(patches) % 8 == 2, "validation", "train"))
    np.savez(file, images=images.astype(np.float32), labels=labels, split=split)
    return file


def tiny_config(
    data: Path,
    *,
    layout: Literal["paper", "nasnet"] = "paper",
    search: dict[str, object] | None = None,
    train: dict[str, object] | None = None,
    space: dict[str, object] | None = None,
    seed: int = 0,
) -> RunConfig:
    """Make the config of a run with two epochs in each stage."""
    return RunConfig(
        data=DataConfig(path=str(data)),
        space=Space(**{"layout": layout, "channels": 4, "max_depth": 2} | (space or {})),  # type: ignore[arg-type]
        search=SearchConfig(
            **{"epochs": 2, "batch_size": 16, "initial_depth": 2, "alpha_learning_rate": 0.05} | (search or {})  # type: ignore[arg-type]
        ),
        train=TrainConfig(**{"epochs": 2, "batch_size": 16, "learning_rate": 0.05} | (train or {})),  # type: ignore[arg-type]
        machine=MachineConfig(device="cpu", threads=1),
        seed=seed,
    )


def new_search(data: Path, *, space: dict[str, object] | None = None, **settings: object) -> Searcher:
    """Make a tiny search, ready to step."""
    config = tiny_config(data, space=space, search=settings)
    opened = open_dataset(config.data)
    train = opened.parts["train"]
    return Searcher(
        config.space,
        config.search,
        SearchData(opened.source, halves(train, 0), measure_normalization(opened.source, train)),
        make_fabric(config.machine),
        seed=0,
        channels_last=True,
    )


class Killed(BaseException):
    """Exception that simulates a kill inside one process."""


class Killer(Silent):
    """Listener that kills the run at a step."""

    def __init__(self, step: int) -> None:
        self.left = step

    def step(self, metrics: dict[str, float]) -> None:
        self.left -= 1
        if not self.left:
            raise Killed
