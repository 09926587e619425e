"""Check an untrusted ONNX file before onnxruntime opens it: only operators of exports, and no other files."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from compactnas.errors import UserError
from compactnas.runs.task import Task

OPERATIONS = frozenset(
    "Add AveragePool BatchNormalization Clip Concat Constant Conv DequantizeLinear Div Exp Flatten Gemm "
    "GlobalAveragePool Identity InstanceNormalization Log LogSoftmax MatMul MaxPool Mul Pad QuantizeLinear "
    "ReduceLogSumExp ReduceMax ReduceMean ReduceSum Relu Reshape Shape Slice Softmax Squeeze Sub Transpose "
    "Unsqueeze".split()
)
"""Operators of exported networks. None of them runs a subgraph, reads a file, or computes shapes from values."""


def require_extra(*modules: str) -> None:
    """Raise a `UserError` if a library of the `export` extra is not installed."""
    absent = [module for module in modules if find_spec(module) is None]
    if absent:
        raise UserError(f"{', '.join(absent)}: not installed; install with pip install 'compactnas[export]'")


def read_onnx(content: bytes, task: Task, file: Path) -> Any:
    """Parse an ONNX file and check that it can be an export for this task.

    Raises:
        UserError: The file is not ONNX, refers to other files, or has operators or shapes that no export has.
    """
    require_extra("onnx", "onnxruntime")
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError, RuntimeError):
        raise UserError(f"{file}: not an ONNX file, or cut off; export again") from None
    if model.functions or any(
        node.op_type not in OPERATIONS or node.domain not in ("", "ai.onnx") for node in model.graph.node
    ):
        raise UserError(f"{file}: has operations that no exported network has; export again")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _tensors(model.graph)):
        raise UserError(f"{file}: keeps weights in another file, which is not read; export again")
    sides = [
        [d.dim_value for d in value.type.tensor_type.shape.dim] for value in (*model.graph.input, *model.graph.output)
    ]
    px = task.patch_px
    if sides != [[0, len(task.bands), px, px], [0, len(task.classes)]]:
        raise UserError(
            f"{file}: does not take {len(task.bands)} bands of {px} px and give {len(task.classes)} classes; "
            "export again"
        )
    return model


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
