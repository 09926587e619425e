"""Work out the shape of every tensor of an ONNX network before it runs, so that no file can exhaust memory.

Weights are replaced by their shapes, so this is quick. ONNX's own inference does most of the work. Where a shape is
computed from other shapes, as torch's older exporter writes it, these small computations are carried out first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.adopted.onnx_file import reason_of, tensors_of
from compactnas.errors import UserError

MOST_VALUES = 2**27
"""Largest number of values in all tensors of a batch together: 512 MiB in float32."""
SMALL = 64
"""Largest number of values of a tensor that can be a part of a shape."""
ROUNDS = 100
"""Largest number of times that shapes are inferred."""
FOLDED = frozenset(
    "Add And Cast Ceil Concat ConstantOfShape Div Equal Floor Gather Greater Identity Less Max Min Mod Mul Neg Not Or "
    "ReduceProd Reshape Slice Squeeze Sub Unsqueeze Where".split()
)
"""Operations that are carried out on small constants."""
FORMS = "FLOAT FLOAT16 BFLOAT16 DOUBLE BOOL INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64".split()
"""Types of numbers that a network may hold."""

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Sizes:
    """Shapes of a network's tensors for one batch.

    Attributes:
        shapes: Name -> shape of the input and of each tensor that is computed from it.
    """

    shapes: Shapes

    @property
    def values(self) -> int:
        """Number of values in all tensors together."""
        return sum(map(math.prod, self.shapes.values()))


def require_whole(graph: Any, file: Path) -> None:
    """Check that operations have inputs and outputs, and that each constant holds as many values as its shape says.

    Raises:
        UserError: One does not, or a constant has numbers of a type that no network has.
    """
    import onnx

    for node in graph.node:
        if not any(node.output) or not (any(node.input) or node.op_type == "Constant"):
            raise UserError(f"{file}: has an operation {node.op_type} without input or output; export it again")
    if graph.sparse_initializer:
        raise UserError(f"{file}: has sparse weights; convert them to dense ones")
    weights = {tensor.name for tensor in graph.initializer}
    for tensor in tensors_of(graph):
        if not tensor.data_type and not tensor.dims and tensor.name not in weights:
            continue  # an attribute without a tensor
        if tensor.data_type not in [getattr(onnx.TensorProto, form) for form in FORMS]:
            raise UserError(f"{file}: {tensor.name[:80]!r} holds no plain numbers; export the network in float32")
        width = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        lists = (tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data, tensor.uint64_data)
        held = len(tensor.raw_data) // width if tensor.raw_data else max(map(len, lists))
        if min(tensor.dims, default=0) < 0 or held != math.prod(tensor.dims):
            raise UserError(
                f"{file}: {tensor.name[:80]!r} says that it has {' x '.join(map(str, tensor.dims))} values, but holds "
                f"{held}; the file is damaged, get it again"
            )


def sizes_of(model: Any, given: str, shape: tuple[int, ...], file: Path) -> Sizes:
    """Work out the shapes of all tensors for an input of this shape.

    Args:
        model: Parsed ONNX file whose operations have been checked.
        given: Name of the input.
        shape: Shape of the input.
        file: Name of the file, for messages.

    Raises:
        UserError: The shapes do not fit together, cannot be worked out, or take too much memory.
    """
    light = _without_weights(model, given, shape)
    for _ in range(ROUNDS):
        shapes, unknown = _inferred(light, file)
        if not unknown or not _fold(light, shapes):
            break
    if unknown:
        raise UserError(
            f"{file}: cannot tell the size of {unknown[0][:80]!r} before running it; export with fixed sizes, or "
            "simplify it with onnxsim"
        )
    sizes = Sizes(shapes)
    if sizes.values > MOST_VALUES:
        raise UserError(
            f"{file}: needs {sizes.values / 2**20:,.0f} million values in memory for {shape[0]} windows; at most "
            f"{MOST_VALUES >> 20} million are allowed, so export a smaller network or a smaller fixed batch"
        )
    return sizes


def _without_weights(model: Any, given: str, shape: tuple[int, ...]) -> Any:
    """Copy a model with fixed input sizes and with shapes in place of weights; constants that can be shapes stay."""
    import onnx

    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph = light.graph
    graph.name = "sizes"
    (form,) = (value.type.tensor_type.elem_type for value in model.graph.input if value.name == given)
    graph.input.append(onnx.helper.make_tensor_value_info(given, form, shape))
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= SMALL:
            graph.initializer.append(tensor)
        else:
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    graph.node.extend(model.graph.node)
    for value in model.graph.output:
        copy = graph.output.add()
        copy.name = value.name
        copy.type.tensor_type.elem_type = value.type.tensor_type.elem_type
    return light


def _inferred(light: Any, file: Path) -> tuple[Shapes, list[str]]:
    """Infer the shapes of the input and of what is computed; also list the tensors whose shape is unknown."""
    import onnx

    try:
        graph = onnx.shape_inference.infer_shapes(light, strict_mode=True, data_prop=True).graph
    except Exception as error:  # noqa: BLE001  # onnx raises errors of several kinds
        raise UserError(f"{file}: its shapes do not fit together ({reason_of(error)}); export it again") from None
    made = [name for node in graph.node for name in node.output if name]
    shapes: Shapes = {}
    for value in (graph.input[0], *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        sides = [side.dim_value if side.HasField("dim_value") else -1 for side in kind.shape.dim]
        if kind.HasField("shape") and min(sides, default=0) >= 0:
            shapes[value.name] = tuple(sides)
    return shapes, [name for name in made if name not in shapes]


def _fold(light: Any, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Replace computations on small constants and known shapes by their results; return whether there were any."""
    import onnx

    known = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in light.graph.initializer}
    left, found = [], {}
    for node in light.graph.node:
        value = _value(node, known, shapes, light.opset_import)
        if value is None or value.size > SMALL:
            left.append(node)
        else:
            known[node.output[0]] = found[node.output[0]] = value
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in left]
    del light.graph.node[:]
    light.graph.node.extend(copies)
    light.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in found.items())
    return bool(found)


def _value(
    node: Any, known: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]], opsets: Any
) -> NDArray[Any] | None:
    """Result of one node, if it is a shape or follows from small constants."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    if len(node.output) != 1:
        return None
    if node.op_type == "Shape" and node.input[0] in shapes:
        ends: dict[str, int] = {attribute.name: attribute.i for attribute in node.attribute}
        start, stop = ends.get("start", 0), ends.get("end")
        return np.array(shapes[str(node.input[0])][start:stop], np.int64)
    names = [name for name in node.input if name]
    small = node.op_type == "Constant" or (node.op_type in FOLDED and all(name in known for name in names))
    if not small:
        return None
    if node.op_type == "ConstantOfShape" and not 0 <= math.prod(known[names[0]].tolist()) <= SMALL:
        return None
    if node.op_type == "Constant" and not all(math.prod(part.t.dims) <= SMALL for part in node.attribute):
        return None
    ports = [onnx.helper.make_value_info(name, onnx.TypeProto()) for name in (*dict.fromkeys(names), node.output[0])]
    graph = onnx.helper.make_graph([node], "one", ports[:-1], ports[-1:])
    try:
        run = ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=opsets))
        made: Any = run.run(None, {name: known[name] for name in names})
        value: NDArray[Any] = np.asarray(made[0])
    except Exception:  # noqa: BLE001  # a computation that fails here fails in onnxruntime too, which says why
        return None
    return value if value.dtype.kind in "biuf" else None
