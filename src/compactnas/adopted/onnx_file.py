"""Parse an untrusted ONNX file, find operations that are not allowed, and open it in onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

from compactnas.errors import UserError
from compactnas.io.extras import missing, require_extra

MOST_BYTES = 2**30
"""Largest size of an ONNX file."""


def require_onnx(*packages: str) -> None:
    """Raise a `UserError` if a package of the `export` extra is not installed."""
    require_extra("export", f"{', '.join(missing(*packages))}: not installed", *packages)


def parse_onnx(content: bytes, file: Path, advice: str) -> Any:
    """Parse the bytes of an ONNX file.

    Args:
        content: Bytes of the file.
        file: Name of the file, for messages.
        advice: Next step for the user, for messages.

    Raises:
        UserError: The file is not ONNX, or refers to other files.
    """
    require_onnx("onnx", "onnxruntime")
    if not content:
        raise UserError(f"{file}: is empty; {advice}")
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
        readable = _names_are_text(model.graph)
    except (DecodeError, ValueError, RuntimeError):
        readable = False
    if not readable:
        raise UserError(f"{file}: not an ONNX file, or cut off; {advice}")
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in tensors_of(model.graph)):
        raise UserError(f"{file}: keeps weights in another file, which is not read; {advice}")
    return model


def unlisted(model: Any, operations: Set[str]) -> list[str]:
    """List the operations of a model that are not in a set, its own functions, and operations with a subgraph."""
    import onnx

    subgraphs = (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
    found = [f"{function.domain}:{function.name}" for function in model.functions]
    for node in model.graph.node:
        name = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}:{node.op_type}"
        if name not in operations or any(attribute.type in subgraphs for attribute in node.attribute):
            found.append(name)
    return list(dict.fromkeys(found))


def open_onnx(content: bytes, file: Path, threads: int, advice: str) -> Any:
    """Open an onnxruntime session on the CPU for the bytes of a checked ONNX file; 0 threads takes all cores.

    Raises:
        UserError: onnxruntime cannot read the file.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # errors are reported once, below
    try:
        # Without `enable_fallback=0`, onnxruntime prints some errors and tries again.
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except Exception as error:  # noqa: BLE001  # onnxruntime's errors have no other common class
        raise UserError(f"{file}: onnxruntime cannot read it ({reason_of(error)}); {advice}") from None


def _names_are_text(graph: Any) -> bool:
    """Check that all names are text; protobuf gives bytes, or raises an error, for others."""
    names = [value.name for value in (*graph.input, *graph.output, *tensors_of(graph))]
    for node in graph.node:
        names += [node.op_type, node.domain, *node.input, *node.output, *(part.name for part in node.attribute)]
    return all(isinstance(name, str) for name in names)


def reason_of(error: Exception) -> str:
    """First 200 characters of an error message in one line."""
    return " ".join(str(error).split())[:200]


def tensors_of(graph: Any) -> Iterator[Any]:
    """Yield all constant tensors of a graph."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors
            yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
