"""`sep_conv_5x5`: two units of ReLU, depthwise 5x5, pointwise 1x1 and normalisation."""

from __future__ import annotations

from functools import partial

from compactnas.nn.operations._separable import Separable, separable_macs, separable_parameters
from compactnas.space.operation_specs import Operation

OPERATION = Operation(
    build=partial(Separable, size=5, dilation=1, units=2),
    label="sep conv 5x5",
    colours=("#3f9fd6", "#85cdf7"),
    line="stroke-width: 3.2;",
    family="sep_conv",
    macs=partial(separable_macs, size=5, units=2),
    parameters=partial(separable_parameters, size=5, units=2),
)
