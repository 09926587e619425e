"""Candidate operations: module NAME holds the operation NAME. To add an operation, add a module.

Source of the built-in set: DARTS (Liu et al. 2019). Maps are (batch, channels, height, width); an operation keeps the
shape. `tests/nn/test_operation_conformance.py` checks every module here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compactnas.space.operation_specs import OPERATIONS

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
