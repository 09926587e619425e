"""Turn the parameters of a classifier into the config of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from compactnas.config import RunConfig
from compactnas.config.run import RECIPES
from compactnas.config.values import from_values
from compactnas.errors import UserError, suggestion

BUDGETS = ("max_macs", "max_parameters", "max_latency_ms")
"""Parameters that limit the cost of the network."""


def run_config(
    recipe: str, budgets: Mapping[str, float | None], settings: Mapping[str, Any] | None, seed: int
) -> RunConfig:
    """Make the config of a run.

    Args:
        recipe: `quick`, `paper` or `smoke`.
        budgets: Budget by name; None sets none.
        settings: Options by the names of the command line, such as `{"search.epochs": 10}`.
        seed: Random seed.

    Raises:
        UserError: A name is unknown, or a value is not allowed.
    """
    if recipe not in RECIPES:
        raise UserError(f"recipe: {recipe!r} is unknown; {suggestion(str(recipe), tuple(RECIPES))}")
    values: dict[str, Any] = asdict(RECIPES[recipe]()) | {"seed": seed}
    for name, value in (settings or {}).items():
        _set(values, str(name), value)
    for name, most in budgets.items():
        if most is not None:
            values["search"][name] = float(most)
    try:
        return from_values(RunConfig, values)
    except TypeError as error:
        raise UserError(f"settings: {error}") from None


def _set(values: dict[str, Any], name: str, value: Any) -> None:
    """Set one value by its dotted name; dashes are taken as underscores."""
    part, _, key = name.replace("-", "_").partition(".")
    known = [f"{first}.{second}" for first, inner in values.items() if isinstance(inner, dict) for second in inner]
    if part == "data":
        raise UserError(f"settings: {name}: the data are the arrays of `fit`; leave it out")
    if f"{part}.{key}" not in known:
        raise UserError(f"settings: {name[:80]}: unknown name; {_near(name, known)}")
    values[part][key] = value


def _near(name: str, known: list[str]) -> str:
    ending = [one for one in known if one.partition(".")[2] == name.replace("-", "_")]
    return f"did you mean {ending[0]!r}?" if ending else suggestion(name, known)
