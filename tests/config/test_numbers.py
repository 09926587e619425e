"""Numbers of a config that no training can have are refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from compactnas.config import RunConfig, SearchConfig, TrainConfig
from compactnas.errors import UserError
from compactnas.space.search_space import Space


@pytest.mark.parametrize("kind", [TrainConfig, SearchConfig])
@pytest.mark.parametrize("name", ["learning_rate", "momentum", "weight_decay", "gradient_clip"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_rates_are_not_negative_and_finite(kind: Any, name: str, value: float) -> None:
    part = "train" if kind is TrainConfig else "search"
    with pytest.raises(UserError, match=rf"^{part}\.{name}: .* is out of range; give 0 or more"):
        kind(**{name: value})
    kind(**{name: 0.0})


@pytest.mark.parametrize("kind", [TrainConfig, SearchConfig])
def test_steps_are_not_negative(kind: Any) -> None:
    with pytest.raises(UserError, match=r"\.max_steps: -1 is out of range; give 0 or more"):
        kind(max_steps=-1)


def test_a_strategy_that_draws_depths_ignores_the_first_depth() -> None:
    shallow = Space(max_depth=2)
    RunConfig(space=shallow, search=SearchConfig(strategy="effects"))
    with pytest.raises(UserError, match=r"search\.initial_depth: 3 is outside 1 to 2"):
        RunConfig(space=shallow)


def test_a_block_has_32_cells_at_most() -> None:
    with pytest.raises(UserError, match=r"search\.initial_depth: 40 is more than 32 cells"):
        RunConfig(search=SearchConfig(search_depth=False, initial_depth=40))
