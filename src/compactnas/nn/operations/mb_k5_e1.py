"""`mb_k5_e1`: depthwise 5x5, 1x1, with normalisation and ReLU between."""

from __future__ import annotations

from compactnas.nn.operations._inverted_operation import inverted_operation

OPERATION = inverted_operation(
    size=5,
    expansion=1,
    colours=("#a05195", "#d48fc9"),
    line="stroke-width: 3.2;",
)
