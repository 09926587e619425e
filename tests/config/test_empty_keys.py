"""A YAML key without a value."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from compactnas.config import DataConfig, MachineConfig, RunConfig, SearchConfig, TrainConfig, from_values
from compactnas.space.search_space import Space

KINDS = (DataConfig, SearchConfig, TrainConfig, MachineConfig, Space)
OPTIONAL = {"scale", "offset"}
"""The options that may be null: a scene's own scale and offset."""


@pytest.mark.parametrize(("kind", "name"), [(kind, field.name) for kind in KINDS for field in fields(kind)])
def test_only_an_optional_key_may_be_empty(kind: Any, name: str) -> None:
    if name in OPTIONAL:
        assert getattr(from_values(kind, {name: None}), name) is None
        return
    with pytest.raises(TypeError, match=f"^{name}: has no value; give one, or leave the key out$"):
        from_values(kind, {name: None})


@pytest.mark.parametrize("part", [field.name for field in fields(RunConfig) if is_dataclass(field.default_factory)])
def test_the_key_is_named_as_in_the_file(part: str) -> None:
    name = {"data": "path", "space": "nodes", "search": "epochs", "train": "epochs", "machine": "device"}[part]
    with pytest.raises(TypeError, match=rf"^{part}\.{name}: has no value"):
        from_values(RunConfig, {part: {name: None}})


def test_an_empty_part_is_refused() -> None:
    with pytest.raises(TypeError, match="train: expected names and values"):
        from_values(RunConfig, {"train": None})
