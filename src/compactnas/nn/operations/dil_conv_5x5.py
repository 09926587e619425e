"""`dil_conv_5x5`: ReLU, depthwise 5x5 with dilation 2, pointwise 1x1 and normalisation."""

from __future__ import annotations

from functools import partial

from compactnas.nn.operations._separable import Separable, separable_macs, separable_parameters
from compactnas.space.operation_specs import Operation

OPERATION = Operation(
    build=partial(Separable, size=5, dilation=2, units=1),
    label="dil conv 5x5",
    colours=("#d68a00", "#f5b942"),
    line="stroke-width: 3.2; stroke-dasharray: 8 4;",
    family="dil_conv",
    macs=partial(separable_macs, size=5, units=1),
    parameters=partial(separable_parameters, size=5, units=1),
)
