"""`dil_conv_3x3`: ReLU, depthwise 3x3 with dilation 2, pointwise 1x1 and normalisation."""

from __future__ import annotations

from compactnas.nn.operations._separable_operation import separable_operation

OPERATION = separable_operation(
    size=3,
    dilation=2,
    units=1,
    colours=("#c24e00", "#ee7733"),
    line="stroke-dasharray: 8 4;",
)
