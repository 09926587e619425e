"""`mb_k5_e2`: 1x1 to 2 times the channels, depthwise 5x5, 1x1 back, with normalisation and ReLU between."""

from __future__ import annotations

from compactnas.nn.operations._inverted_operation import inverted_operation

OPERATION = inverted_operation(
    size=5,
    expansion=2,
    colours=("#8a3ffc", "#be95ff"),
    line="stroke-width: 3.2;",
)
