"""Candidate operations: module NAME holds the operation NAME. To add an operation, add a module.

Source of the built-in set: DARTS (Liu et al. 2019). Maps are (batch, channels, height, width); an operation keeps the
shape. Modules import torch only through `deferred`, so that reports read labels and colours without it.
`tests/nn/test_operation_conformance.py` checks every module here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compactnas.errors import UserError
from compactnas.space.operation_specs import NONE, OPERATIONS

if TYPE_CHECKING:
    from torch import nn

    from compactnas.nn.norms import Norm


def build_operation(name: str, channels: int, norm: Norm) -> nn.Module:
    """Build an operation at stride 1: a module that is called with a state and the weight of its edge.

    Args:
        name: Name of the operation.
        channels: Number of channels of its maps.
        norm: Function that makes the normalisation of a number of channels.
    """
    module: nn.Module = OPERATIONS[name].build(channels, norm)
    return module


def build_normalized(name: str, channels: int, norm: Norm) -> nn.Module:
    """Build an operation without weights whose output is normalised.

    Raises:
        UserError: The operation has weights, and so a normalisation of its own, or is `none`.
    """
    from compactnas.nn.operations._normalized import Normalized

    if OPERATIONS[name].has_weights or name == NONE:
        why = "computes nothing" if name == NONE else "is normalised already"
        raise UserError(
            f"search.normalized_operations: {name} {why}; name operations without weights, such as avg_pool_3x3"
        )
    return Normalized(build_operation(name, channels, norm), channels, norm)
