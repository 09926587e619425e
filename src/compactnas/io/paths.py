"""Paths that a caller gives as text or as `pathlib.Path`."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path


def exists(path: str | Path) -> bool:
    """Check whether a path exists. One that is longer than a path can be does not."""
    try:
        return Path(path).exists()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return False
        raise


def one_or_many(given: str | Path | Sequence[str | Path]) -> Sequence[str | Path]:
    """List one path or several as they were given; a text is one path, not its characters."""
    return [given] if isinstance(given, str | Path) else given


def each_path(given: str | Path | Sequence[str | Path]) -> list[Path]:
    """List one path or several."""
    return [Path(path) for path in one_or_many(given)]
