"""What a value has to be."""

from __future__ import annotations

from compactnas.errors import UserError


def require(ok: bool, message: str) -> None:
    """Raise a UserError with this message unless it is so."""
    if not ok:
        raise UserError(message)
