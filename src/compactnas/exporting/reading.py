"""Check an untrusted ONNX file before onnxruntime opens it: only operators of exports, and no other files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compactnas.adopted.onnx_file import parse_onnx, unlisted
from compactnas.errors import UserError
from compactnas.runs.task import Task

OPERATIONS = frozenset(
    "Add AveragePool BatchNormalization Clip Concat Constant Conv DequantizeLinear Div Exp Flatten Gemm "
    "GlobalAveragePool Identity InstanceNormalization Log LogSoftmax MatMul MaxPool Mul Pad QuantizeLinear "
    "ReduceLogSumExp ReduceMax ReduceMean ReduceSum Relu Reshape Shape Slice Softmax Squeeze Sub Transpose "
    "Unsqueeze".split()
)
"""Operators of exported networks. None of them runs a subgraph, reads a file, or computes shapes from values."""
AGAIN = "export again"


def read_onnx(content: bytes, task: Task, file: Path) -> Any:
    """Parse an ONNX file and check that it can be an export for this task.

    Raises:
        UserError: The file is not ONNX, refers to other files, or has operators or shapes that no export has.
    """
    model = parse_onnx(content, file, AGAIN)
    if unlisted(model, OPERATIONS):
        raise UserError(f"{file}: has operations that no exported network has; {AGAIN}")
    sides = [
        [d.dim_value for d in value.type.tensor_type.shape.dim] for value in (*model.graph.input, *model.graph.output)
    ]
    px = task.patch_px
    if sides != [[0, len(task.bands), px, px], [0, len(task.classes)]]:
        raise UserError(
            f"{file}: does not take {len(task.bands)} bands of {px} px and give {len(task.classes)} classes; {AGAIN}"
        )
    return model
