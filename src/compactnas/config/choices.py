"""Strategies and objectives of a search by name. Torch is imported only when an entry is first used."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from compactnas.config.requiring import require
from compactnas.registry import Registry

if TYPE_CHECKING:
    from compactnas.config.search import SearchConfig

STRATEGIES: Registry[Any] = Registry(
    "strategy",
    "compactnas.search.strategies",
    "STRATEGY",
    first=("gdas", "darts", "darts_second_order", "snas", "proxyless", "uniform", "evolution"),
)
"""Names that `search.strategy` takes; `compactnas.search.strategies` types the entries."""

OBJECTIVES: Registry[Any] = Registry(
    "objective", "compactnas.search.objectives", "OBJECTIVE", first=("complexity", "augmented_lagrangian")
)
"""Names that `search.objective` takes, besides `auto`; `compactnas.search.objectives` types the entries."""

AUTO = "auto"

STRATEGY_OPTION, OBJECTIVE_OPTION = {"only": "strategy"}, {"only": "objective"}
"""Metadata of a field of `SearchConfig` that only those strategies or objectives have that name it in `options`."""


def require_choices(config: SearchConfig) -> None:
    """Check the strategy, the objective and the options that depend on them.

    Raises:
        UserError: A name is unknown, or the strategy or the objective does not support an option.
    """
    STRATEGIES.require(config.strategy, "search.strategy")
    _require_own_options(config, config.strategy, STRATEGIES, STRATEGY_OPTION)
    for name, left_out in (("skip_limit", "log"), ("stop_after", 0)):
        require(
            getattr(config, name) == left_out or STRATEGIES[config.strategy].learns_alpha,
            f"search.{name}: {config.strategy} does not train the architecture, so this option has no effect; "
            f"leave out search.{name}={getattr(config, name)}",
        )
    if config.objective == AUTO:
        return
    OBJECTIVES.require(config.objective, "search.objective")
    require(
        config.complexity,
        "search.objective: search.complexity is off; turn search.complexity on, or leave out search.objective",
    )
    _require_own_options(config, config.objective, OBJECTIVES, OBJECTIVE_OPTION)
    budgets = (config.max_macs, config.max_parameters, config.max_latency_ms)
    require(
        any(budgets) or not OBJECTIVES[config.objective].needs_budget,
        f"search.objective: {config.objective} needs a budget; give search.max_macs, search.max_parameters or "
        "search.max_latency_ms",
    )


def own_options(config: SearchConfig | type[SearchConfig], only: dict[str, str]) -> dict[str, Any]:
    """List the options with this metadata, each with the default that leaves it out."""
    return {field.name: field.default for field in fields(config) if field.metadata == only}


def _require_own_options(config: SearchConfig, name: str, registry: Registry[Any], only: dict[str, str]) -> None:
    for option, left_out in own_options(config, only).items():
        value = getattr(config, option)
        require(
            value == left_out or option in registry[name].options,
            f"search.{option}: {name} does not have this option; leave out search.{option}={value}",
        )
