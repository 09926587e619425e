"""Check that the packages of an extra are installed."""

from __future__ import annotations

from importlib.util import find_spec

from compactnas.errors import UserError


def missing(*packages: str) -> list[str]:
    """List the packages that are not installed; `a.b` needs its parent `a` too."""
    return [name for name in packages if find_spec(name.partition(".")[0]) is None or find_spec(name) is None]


def require_extra(extra: str, need: str, *packages: str) -> None:
    """Raise a `UserError` with the command that installs an extra, unless its packages are installed.

    Args:
        extra: Name of the extra.
        need: What needs the packages, the start of the message.
        packages: Names to import.
    """
    if missing(*packages):
        raise UserError(f"{need}; install with pip install 'compactnas[{extra}]'")
