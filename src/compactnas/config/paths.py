"""Paths in configs, which are text there, as in the files that hold configs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def as_text(path: str | Path) -> str:
    """Turn a `pathlib` path into text; text stays as it is."""
    return os.fspath(path)


def each_as_text(paths: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    """Turn paths into text; a text is one path, not its characters."""
    return (as_text(paths),) if isinstance(paths, str | Path) else tuple(as_text(path) for path in paths)
