"""`max_pool_3x3`: maximum over 3x3 pixels."""

from __future__ import annotations

from compactnas.registry import deferred
from compactnas.space.operation_specs import Operation

OPERATION = Operation(
    build=deferred("compactnas.nn.operations._weightless", "weightless", kind="maximum"),
    label="max pool 3x3",
    colours=("#b0568f", "#dd92c4"),
    line="stroke-dasharray: 2.4 3.6;",
)
