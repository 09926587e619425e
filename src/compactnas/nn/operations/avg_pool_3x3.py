"""`avg_pool_3x3`: mean over 3x3 pixels."""

from __future__ import annotations

from compactnas.registry import deferred
from compactnas.space.operation_specs import Operation

OPERATION = Operation(
    build=deferred("compactnas.nn.operations._weightless", "weightless", kind="average"),
    label="avg pool 3x3",
    colours=("#00875f", "#3cc299"),
    line="stroke-dasharray: 2.4 3.6;",
)
