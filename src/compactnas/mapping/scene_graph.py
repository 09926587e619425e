"""Cut the graph of an export, so that it takes a strip of a scene of any size and gives the maps of its levels.

The graph of an export takes windows of one size. Its nodes up to the mean over the window are local: they do not depend
on the size. They are kept, the sides of the input become free, and the outputs are the last map before each halving of
the resolution and the map that enters the mean.
"""

from __future__ import annotations

from typing import Any

POOLING = ("GlobalAveragePool", "ReduceMean")
"""Nodes that take the mean over a window."""
LOCAL = frozenset(
    "Add AveragePool BatchNormalization Concat Constant Conv Div Identity MaxPool Mul Pad Relu Slice Sub".split()
)
"""Nodes that may stand before the mean; they compute each pixel from the pixels around it."""


def scene_graph(model: Any, px: int) -> tuple[bytes, tuple[int, ...]] | None:
    """Cut a checked ONNX model of windows (`read_onnx`).

    Args:
        model: ONNX model; it is changed.
        px: Side of a window in pixels.

    Returns:
        The graph for strips, and the stride of each of its outputs; None if the network is not a chain of local nodes
        with one mean at the end.
    """
    import onnx

    graph = onnx.shape_inference.infer_shapes(model).graph
    sides = {value.name: _side(value) for value in (*graph.input, *graph.value_info)}
    means = [node for node in graph.node if node.op_type in POOLING and sides.get(node.input[0])]
    if len(means) != 1:
        return None
    last = means[0].input[0]
    nodes = _leading_to(last, graph.node)
    if any(node.op_type not in LOCAL for node in nodes):
        return None
    halvings: dict[int, list[str]] = {}
    for node in nodes:
        inputs = [name for name in node.input if sides.get(name)]
        if inputs and sides.get(node.output[0], 0) < sides[inputs[0]]:
            halvings.setdefault(sides[inputs[0]], []).extend(inputs)
    positive = {node.output[0] for node in nodes if node.op_type == "Relu"}
    chosen = [
        (next((name for name in names if name in positive), names[0]), side)
        for side, names in sorted(halvings.items(), reverse=True)
    ]
    chosen.append((last, sides[last]))
    if any(px % side for _, side in chosen):
        return None
    return _cut(model, nodes, chosen), tuple(px // side for _, side in chosen)


def _side(value: Any) -> int:
    """Side of a square map; 0 for other tensors."""
    dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    return dims[2] if len(dims) == 4 and dims[2] == dims[3] else 0


def _leading_to(output: str, nodes: Any) -> list[Any]:
    """Nodes that a tensor depends on, in their order."""
    needed, kept = {output}, []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    return kept[::-1]


def _cut(model: Any, nodes: list[Any], outputs: list[tuple[str, int]]) -> bytes:
    import onnx

    graph, used = model.graph, {name for node in nodes for name in node.input}
    strip = onnx.helper.make_tensor_value_info(
        graph.input[0].name,
        onnx.TensorProto.FLOAT,
        ["batch", graph.input[0].type.tensor_type.shape.dim[1].dim_value, "height", "width"],
    )
    maps = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name, _ in outputs]
    weights = [tensor for tensor in graph.initializer if tensor.name in used]
    cut = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "scene", [strip], maps, weights),
        opset_imports=model.opset_import,
        ir_version=model.ir_version,
    )
    content: bytes = cut.SerializeToString()
    return content
