"""Checks of config values."""

from __future__ import annotations

from compactnas.errors import UserError


def require(ok: bool, message: str) -> None:
    """Raise a `UserError` with this message unless a condition holds."""
    if not ok:
        raise UserError(message)
