"""`none`: no connection."""

from __future__ import annotations

from compactnas.registry import deferred
from compactnas.space.operation_specs import Operation

OPERATION = Operation(
    build=deferred("compactnas.nn.operations._weightless", "weightless", kind="zero"),
    label="none",
    colours=("#a3acb7", "#6d7885"),
    line="stroke-width: 1.6; stroke-dasharray: 1 5; stroke-linecap: round;",
)
