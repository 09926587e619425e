"""Strategies and objectives of a search by name. Torch is imported only when an entry is first used."""

from __future__ import annotations

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

OWN_OPTIONS = {"sampled_inputs": 0, "unsampled_gradient": "none"}
"""Option that only some strategies have -> the value that turns it off."""


def require_choices(config: SearchConfig) -> None:
    """Check the strategy, the objective and the options that depend on them.

    Raises:
        UserError: A name is unknown, or the strategy or the objective does not support an option.
    """
    STRATEGIES.require(config.strategy, "search.strategy")
    for name, left_out in OWN_OPTIONS.items():
        value = getattr(config, name)
        require(
            value == left_out or name in STRATEGIES[config.strategy].options,
            f"search.{name}: {config.strategy} does not have this option; leave out search.{name}={value}",
        )
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
    budgets = (config.max_macs, config.max_parameters, config.max_latency_ms)
    require(
        any(budgets) or not OBJECTIVES[config.objective].needs_budget,
        f"search.objective: {config.objective} needs a budget; give search.max_macs, search.max_parameters or "
        "search.max_latency_ms",
    )
