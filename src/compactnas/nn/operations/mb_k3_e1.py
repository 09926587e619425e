"""`mb_k3_e1`: depthwise 3x3, 1x1, with normalisation and ReLU between."""

from __future__ import annotations

from compactnas.nn.operations._inverted_operation import inverted_operation

OPERATION = inverted_operation(
    size=3,
    expansion=1,
    colours=("#7a5195", "#b58fd0"),
)
