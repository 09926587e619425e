"""Search for compact networks that classify satellite image patches.

The names below are loaded when they are first used, so that `import compactnas` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "DataConfig": "config",
    "Genotype": "genotype",
    "MachineConfig": "config",
    "RECIPES": "config",
    "RunConfig": "config",
    "SearchConfig": "config",
    "Space": "space",
    "TrainConfig": "config",
    "UserError": "errors",
}
"""Public name -> the module that it lives in."""

__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'compactnas' has no attribute {name!r}")
    value = getattr(import_module(f"compactnas.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
