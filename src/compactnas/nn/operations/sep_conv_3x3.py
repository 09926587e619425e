"""`sep_conv_3x3`: two units of ReLU, depthwise 3x3, pointwise 1x1 and normalisation."""

from __future__ import annotations

from functools import partial

from compactnas.nn.operations._separable import Separable, separable_macs, separable_parameters
from compactnas.space.operation_specs import Operation

OPERATION = Operation(
    build=partial(Separable, size=3, dilation=1, units=2),
    label="sep conv 3x3",
    colours=("#0072b2", "#3d98d6"),
    family="sep_conv",
    macs=partial(separable_macs, size=3, units=2),
    parameters=partial(separable_parameters, size=3, units=2),
)
