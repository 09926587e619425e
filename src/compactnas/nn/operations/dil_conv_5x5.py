"""`dil_conv_5x5`: ReLU, depthwise 5x5 with dilation 2, pointwise 1x1 and normalisation."""

from __future__ import annotations

from compactnas.nn.operations._separable_operation import separable_operation

OPERATION = separable_operation(
    size=5,
    dilation=2,
    units=1,
    colours=("#d68a00", "#f5b942"),
    line="stroke-width: 3.2; stroke-dasharray: 8 4;",
)
