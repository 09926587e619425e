"""Paths in configs, which are text there, as in the files that hold configs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from compactnas.io.paths import one_or_many


def as_text(path: str | Path) -> str:
    """Turn a `pathlib` path into text; text stays as it is."""
    return os.fspath(path)


def each_as_text(paths: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    """Turn one path or several into text."""
    return tuple(as_text(path) for path in one_or_many(paths))
