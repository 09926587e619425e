"""`fused_k3_e2`: 3x3 to 2 times the channels, 1x1 back, with normalisation and ReLU between."""

from __future__ import annotations

from compactnas.nn.operations._inverted_operation import inverted_operation

OPERATION = inverted_operation(
    size=3,
    expansion=2,
    fused=True,
    colours=("#b5651d", "#e0a060"),
)
