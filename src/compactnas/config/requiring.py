"""Checks of config values."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from compactnas.errors import UserError

RATES = ("learning_rate", "learning_rate_min", "momentum", "weight_decay", "gradient_clip")
"""Numbers of an optimizer, the same in searches and trainings."""


def require(ok: bool, message: str) -> None:
    """Raise a `UserError` with this message unless a condition holds."""
    if not ok:
        raise UserError(message)


def require_not_negative(config: object, part: str, names: Sequence[str]) -> None:
    """Raise a `UserError` if a number of a config is negative or not finite.

    Args:
        config: Config.
        part: Its name in messages.
        names: Names of the numbers.
    """
    for name in names:
        value = getattr(config, name)
        require(0 <= value < inf, f"{part}.{name}: {value:g} is out of range; give 0 or more")
