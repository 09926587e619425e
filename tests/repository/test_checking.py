"""What the tests check in every call of the package: types, and sizes that agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from beartype import beartype
from beartype.roar import BeartypeCallHintParamViolation, BeartypeCallHintReturnViolation
from jaxtyping import Float, TypeCheckError
from support.checking import jaxtyped
from torch import Tensor

import compactnas as cn
from compactnas.training.targets import soft_targets

if TYPE_CHECKING:
    from elsewhere import Unknown


def add(x: Float[Tensor, "rows columns"], y: Float[Tensor, "columns"]) -> Float[Tensor, "columns"]:
    return (x + y).sum(0) if len(y) < 9 else x.sum(1)


def name_of(count: int, more: Unknown = None) -> str:
    return "many" if count > 1 else count  # type: ignore[return-value]


def test_sizes_agree_within_a_call_and_not_between_calls() -> None:
    checked = jaxtyped(typechecker=beartype)(add)
    for columns in (2, 3):
        checked(torch.ones(4, columns), torch.ones(columns))
    with pytest.raises(BeartypeCallHintParamViolation):
        checked(torch.ones(4, 3), torch.ones(2))
    with pytest.raises(BeartypeCallHintReturnViolation):
        checked(torch.ones(4, 9), torch.ones(9))


def test_arguments_and_results_are_checked_without_shapes() -> None:
    checked = jaxtyped(typechecker=beartype)(name_of)
    assert checked(2) == "many" and checked(2, "anything") == "many"
    with pytest.raises(BeartypeCallHintParamViolation):
        checked("2")
    with pytest.raises(BeartypeCallHintReturnViolation):
        checked(1)


def test_the_package_is_checked() -> None:
    with pytest.raises(TypeCheckError, match="nodes"):
        cn.Genotype(3, 4, 5)  # type: ignore[arg-type]
    with pytest.raises(BeartypeCallHintParamViolation, match="labels"):
        soft_targets(torch.zeros(2), 3, 0.1, None, 0.0)
    with pytest.raises(BeartypeCallHintParamViolation, match="teacher_probabilities"):
        soft_targets(torch.zeros(2, dtype=torch.int64), 3, 0.1, torch.zeros(5, 3), 0.5)
