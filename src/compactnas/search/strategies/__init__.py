"""Search strategies, one file each.

To add one, write a module that holds a `compactnas.search.strategy.Strategy` in the constant `STRATEGY`, and name it
with `search.strategy`. `tests/search/test_strategy_conformance.py` runs over all of them.
"""

from __future__ import annotations

from typing import cast

from compactnas import config
from compactnas.registry import Registry
from compactnas.search.strategy import Strategy

STRATEGIES = cast(Registry[type[Strategy]], config.STRATEGIES)
"""Strategies by the name that `search.strategy` takes."""
