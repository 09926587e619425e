"""`sep_conv_5x5`: two units of ReLU, depthwise 5x5, pointwise 1x1 and normalisation."""

from __future__ import annotations

from compactnas.nn.operations._separable_operation import separable_operation

OPERATION = separable_operation(
    size=5,
    dilation=1,
    units=2,
    colours=("#3f9fd6", "#85cdf7"),
    line="stroke-width: 3.2;",
)
