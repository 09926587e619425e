"""`mb_k3_e2`: 1x1 to 2 times the channels, depthwise 3x3, 1x1 back, with normalisation and ReLU between."""

from __future__ import annotations

from compactnas.nn.operations._inverted_operation import inverted_operation

OPERATION = inverted_operation(
    size=3,
    expansion=2,
    colours=("#5b6abf", "#97a5f2"),
)
