"""`skip_connect`: the identity."""

from __future__ import annotations

from compactnas.registry import deferred
from compactnas.space.operation_specs import Operation

OPERATION = Operation(
    build=deferred("compactnas.nn.operations._weightless", "weightless", kind="skip"),
    label="skip",
    colours=("#3c4a5a", "#c3ced9"),
    line="stroke-width: 1.6;",
)
