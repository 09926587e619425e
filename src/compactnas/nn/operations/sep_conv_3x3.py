"""`sep_conv_3x3`: two units of ReLU, depthwise 3x3, pointwise 1x1 and normalisation."""

from __future__ import annotations

from compactnas.nn.operations._separable_operation import separable_operation

OPERATION = separable_operation(
    size=3,
    dilation=1,
    units=2,
    colours=("#0072b2", "#3d98d6"),
)
