"""Known candidate operations and their properties. This module does not import torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from compactnas.errors import UserError
from compactnas.registry import Registry

NONE = "none"
"""Name of the operation that stands for no connection."""

DARTS_OPERATIONS = (
    NONE,
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "avg_pool_3x3",
    "max_pool_3x3",
)
"""The default candidates of an edge, in the order of DARTS (paper, section 4; Liu et al. 2019)."""


@dataclass(frozen=True)
class Operation:
    """A candidate operation of an edge: how to build it, its cost, and how to draw it.

    Attributes:
        build: Function of channels and normalisation that makes the module. The module is called with a state and the
            weight of its edge (`compactnas.nn.state`) and keeps the shape of the map. It makes every normalisation with
            the one it is given. On a map of fewer channels it runs with its first weights (`compactnas.nn.slimmable`).
        label: Short name in drawings.
        colours: Colours in drawings, "#RRGGBB", on a light and on a dark background.
        line: SVG style of the edge in drawings, such as "stroke-dasharray: 8 4;".
        family: Operations that inference engines fuse alike share a family; empty for those without weights.
        build_reduction: Function of channels, channels of the result and normalisation that makes the same operation at
            stride 2. Its module also takes a number of channels, to compute only the first ones. None if the operation
            cannot be a reduction; layouts of layers (`compactnas.space.layouts.mobile`) need it.
        macs: Multiply-accumulates of one patch as a function of channels, height and width.
        parameters: Number of trained weights of the final network's module as a function of channels.
    """

    build: Callable[[int, Any], Any]
    label: str
    colours: tuple[str, str]
    line: str = ""
    family: str = ""
    build_reduction: Callable[[int, int, Any], Any] | None = None
    macs: Callable[[int, int, int], int] = lambda channels, height, width: 0
    parameters: Callable[[int], int] = lambda channels: 0

    @property
    def has_weights(self) -> bool:
        """Check whether the operation has trained weights."""
        return self.parameters(1) > 0


OPERATIONS: Registry[Operation] = Registry("operation", "compactnas.nn.operations", "OPERATION", first=DARTS_OPERATIONS)
"""Known operations by name: the modules of `compactnas.nn.operations`. A new one does not join the default space."""


def require_reductions(names: Iterable[str], known: Collection[str], where: str) -> None:
    """Check that each operation can also be a reduction, as layouts of layers need.

    Args:
        names: Names of operations.
        known: Operations that are known to be able to, so that their modules are not imported.
        where: Start of the message.

    Raises:
        UserError: An operation has no form with stride 2.
    """
    for name in names:
        if name not in known and OPERATIONS[name].build_reduction is None:
            raise UserError(f"{where} cannot have {name}, which has no form with stride 2; use {', '.join(known)}")
