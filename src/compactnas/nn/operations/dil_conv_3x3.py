"""`dil_conv_3x3`: ReLU, depthwise 3x3 with dilation 2, pointwise 1x1 and normalisation."""

from __future__ import annotations

from functools import partial

from compactnas.nn.operations._separable import Separable, separable_macs, separable_parameters
from compactnas.space.operation_specs import Operation

OPERATION = Operation(
    build=partial(Separable, size=3, dilation=2, units=1),
    label="dil conv 3x3",
    colours=("#c24e00", "#ee7733"),
    line="stroke-dasharray: 8 4;",
    family="dil_conv",
    macs=partial(separable_macs, size=3, units=1),
    parameters=partial(separable_parameters, size=3, units=1),
)
