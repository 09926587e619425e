"""Describe depthwise-separable convolutions as candidate operations, without torch."""

from __future__ import annotations

from functools import partial

from compactnas.registry import deferred
from compactnas.space.operation_specs import Operation


def separable_operation(*, size: int, dilation: int, units: int, colours: tuple[str, str], line: str = "") -> Operation:
    """Describe units of ReLU, depthwise k x k, pointwise 1x1 and normalisation as a candidate operation."""
    name = "sep" if dilation == 1 else "dil"
    return Operation(
        build=deferred("compactnas.nn.operations._separable", "Separable", size=size, dilation=dilation, units=units),
        label=f"{name} conv {size}x{size}",
        colours=colours,
        line=line,
        family=f"{name}_conv",
        macs=partial(_macs, size=size, units=units),
        parameters=partial(_parameters, size=size, units=units),
    )


def _macs(channels: int, height: int, width: int, *, size: int, units: int) -> int:
    """Count the multiply-accumulates in closed form."""
    return units * height * width * channels * (size**2 + channels)


def _parameters(channels: int, *, size: int, units: int) -> int:
    """Count the weights in closed form, with scale and shift of each normalisation."""
    return units * channels * (size**2 + channels + 2)
