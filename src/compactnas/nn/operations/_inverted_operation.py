"""Describe inverted residuals as candidate operations, without torch."""

from __future__ import annotations

from functools import partial
from typing import Any

from compactnas.registry import deferred
from compactnas.space.operation_specs import Operation

MODULE = "compactnas.nn.operations._inverted"


def inverted_operation(
    *, size: int, expansion: int, fused: bool = False, colours: tuple[str, str], line: str = ""
) -> Operation:
    """Describe an inverted residual as a candidate operation."""
    kind: dict[str, Any] = {"size": size, "expansion": expansion, "fused": fused}
    name = "fused" if fused else "mb"
    return Operation(
        build=deferred(MODULE, "InvertedResidual", **kind),
        build_reduction=deferred(MODULE, "reduction", **kind),
        label=f"{name} {size}x{size} e{expansion}",
        colours=colours,
        line=line,
        family=name,
        macs=partial(_macs, **kind),
        parameters=partial(_parameters, **kind),
    )


def _filters(size: int, expansion: int, fused: bool, channels: int) -> int:
    """Count the weights before the projection."""
    inner = expansion * channels
    return size**2 * inner * channels if fused else size**2 * inner + (expansion > 1) * channels * inner


def _macs(channels: int, height: int, width: int, *, size: int, expansion: int, fused: bool) -> int:
    """Count the multiply-accumulates in closed form."""
    return height * width * (_filters(size, expansion, fused, channels) + expansion * channels**2)


def _parameters(channels: int, *, size: int, expansion: int, fused: bool) -> int:
    """Count the weights in closed form, with scale and shift of each normalisation."""
    inner, norms = expansion * channels, 1 + (expansion > 1 and not fused)
    return _filters(size, expansion, fused, channels) + inner * channels + 2 * (norms * inner + channels)
