"""Strategies and objectives of a search by name. Torch is imported only when an entry is first used."""

from __future__ import annotations

from typing import Any

from compactnas.registry import Registry

STRATEGIES: Registry[Any] = Registry(
    "strategy",
    "compactnas.search.strategies",
    "STRATEGY",
    first=("gdas", "darts", "darts_second_order", "snas", "proxyless", "uniform", "evolution", "effects"),
)
"""Names that `search.strategy` takes; `compactnas.search.strategies` types the entries."""

OBJECTIVES: Registry[Any] = Registry(
    "objective", "compactnas.search.objectives", "OBJECTIVE", first=("complexity", "augmented_lagrangian")
)
"""Names that `search.objective` takes, besides `auto`; `compactnas.search.objectives` types the entries."""

AUTO = "auto"

STRATEGY_OPTION, OBJECTIVE_OPTION = {"only": "strategy"}, {"only": "objective"}
"""Metadata of a field of `SearchConfig` that only those strategies or objectives have that name it in `options`."""
