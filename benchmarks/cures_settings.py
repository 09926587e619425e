"""The settings and the cures of `benchmarks/cures.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from compactnas.config import SearchConfig, TrainConfig, quick
from compactnas.space.search_space import Space

TRAIN = TrainConfig(epochs=4, learning_rate=0.1, augment="dihedral", validate_every=0)
SEARCH = replace(
    quick().search,
    strategy="gdas",
    skip_limit="log",
    search_depth=False,
    initial_depth=1,
    epochs=8,
    batch_size=32,
    alpha_learning_rate=0.03,
)
SPACE = Space(channels=8)


class Setting(NamedTuple):
    """Size of the networks, searches and trainings.

    Attributes:
        space: Search space.
        search: Search that the cures change.
        train: Training of each network.
        macs: Budget by ground: about the middle of what random cells take (the world has more bands).
        every: By ground, searches use each patch or every second one: about the same number of steps on both grounds.
    """

    space: Space
    search: SearchConfig
    train: TrainConfig
    macs: Mapping[str, float]
    every: Mapping[str, int]


SETTINGS = {
    "small": Setting(SPACE, SEARCH, TRAIN, {"eurosat": 1.0e6, "world": 1.1e6}, {"eurosat": 2, "world": 1}),
    "quick": Setting(
        quick().space,
        replace(quick().search, strategy="gdas", skip_limit="log"),
        replace(quick().train, epochs=10, validate_every=0),
        {"eurosat": 4.0e6, "world": 4.4e6},
        {"eurosat": 1, "world": 1},
    ),
}
POOLS = ("avg_pool_3x3", "max_pool_3x3")
BETA = {"alpha_weight_decay": 0.0}
LIMIT = {"skip_limit": "limit", "skip_limit_operations": ("skip_connect", *POOLS), "skip_limit_edges": 3}
"""At most three of five edges without weights."""

CURES: dict[str, dict[str, Any]] = {
    "gdas": {},
    "gdas, pools normalised": {"normalized_operations": POOLS},
    "gdas, pools and skips normalised": {"normalized_operations": (*POOLS, "skip_connect")},
    "gdas of NAS-Bench-201": {"strategy": "gdas_nas_bench_201"},
    "gdas of the NASNet cell": {"strategy": "gdas_nasnet"},
    "gdas, cost as a share": {"complexity_scale": "share", "complexity_weight": 0.02},
    "gdas, Beta-decay 5": {"beta_decay": 5.0} | BETA,
    "supernet's accuracy (uniform)": {"strategy": "uniform", "candidates": 100},
    "main effects": {"strategy": "effects", "candidates": 64},
    "main effects, skip limit": {"strategy": "effects", "candidates": 64} | LIMIT,
    "gdas, halves by group": {"halves": "groups"},
    "main effects, skip limit, halves by group": {"strategy": "effects", "candidates": 64, "halves": "groups"} | LIMIT,
    "darts": {"strategy": "darts"},
    "darts, pools normalised": {"strategy": "darts", "normalized_operations": POOLS},
    "darts, Beta-decay 5": {"strategy": "darts", "beta_decay": 5.0} | BETA,
    "darts, Beta-decay 50": {"strategy": "darts", "beta_decay": 50.0} | BETA,
    "snas": {"strategy": "snas"},
    "snas, Beta-decay 5": {"strategy": "snas", "beta_decay": 5.0} | BETA,
}
"""Changes of each cure to the search of `quick`."""
BY_GROUP = tuple(name for name, changes in CURES.items() if changes.get("halves") == "groups")
"""Cures for data with groups."""
PERTURBED = {cure: f"{cure}, perturbation" for cure in ("darts", "darts, pools normalised", "snas")}
"""Searches whose supernet also chooses by perturbation, and the name of that cure."""
