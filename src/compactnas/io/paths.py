"""Paths that a caller gives as text or as `pathlib.Path`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def each_path(given: str | Path | Sequence[str | Path]) -> list[Path]:
    """List one path or several; a text is one path, not its characters."""
    return [Path(given)] if isinstance(given, str | Path) else [Path(path) for path in given]
