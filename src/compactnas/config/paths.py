"""Paths in configs, which are text there, as in the files that hold configs."""

from __future__ import annotations

import os


def paths_as_text(config: object, *names: str) -> None:
    """Turn `pathlib` paths in fields of a frozen config, or in tuples of paths, into text."""
    for name in names:
        value = getattr(config, name)
        text = tuple(map(os.fspath, value)) if isinstance(value, tuple) else os.fspath(value)
        object.__setattr__(config, name, text)
