"""`mb_k5_e3`: 1x1 to 3 times the channels, depthwise 5x5, 1x1 back, with normalisation and ReLU between."""

from __future__ import annotations

from compactnas.nn.operations._inverted_operation import inverted_operation

OPERATION = inverted_operation(
    size=5,
    expansion=3,
    colours=("#0043ce", "#78a9ff"),
    line="stroke-width: 3.2;",
)
