"""Count the cost of an ONNX network from its shapes, by the same convention as `cost.counter`."""

from __future__ import annotations

import math
from typing import Any

from compactnas.adopted.sizes import Sizes
from compactnas.cost.counter import Cost

WEIGHTS = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3, "ConvTranspose": 1}
"""Position of the weights among the inputs of a convolution."""
PRODUCTS = ("Gemm", "MatMul", "MatMulInteger", "QLinearMatMul")


def cost_of(model: Any, sizes: Sizes, windows: int) -> Cost:
    """Count multiply-accumulates of convolutions and matrix products for one window, and weights.

    Args:
        model: Parsed ONNX file.
        sizes: Shapes of its tensors.
        windows: Number of windows of these shapes.
    """
    import onnx

    whole = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    shapes = whole | sizes.shapes
    macs = sum(_macs(node, shapes) for node in model.graph.node)
    indices = (onnx.TensorProto.INT32, onnx.TensorProto.INT64)
    held = sum(math.prod(tensor.dims) for tensor in model.graph.initializer if tensor.data_type not in indices)
    return Cost(macs // windows, held)


def _macs(node: Any, shapes: dict[str, tuple[int, ...]]) -> int:
    """Multiply-accumulates of one operation."""
    written = math.prod(shapes.get(node.output[0], (0,)))
    if node.op_type in WEIGHTS and len(node.input) > WEIGHTS[node.op_type]:
        kernel = shapes.get(node.input[WEIGHTS[node.op_type]], (0,))
        # Each value of the output (of the input, if transposed) meets the weights of one filter.
        values = math.prod(shapes.get(node.input[0], (0,))) if node.op_type == "ConvTranspose" else written
        return values * math.prod(kernel[1:])
    if node.op_type in PRODUCTS:
        flipped = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
        left = shapes.get(node.input[0], ()) or (0,)
        return written * (left[0] if flipped else left[-1])
    return 0
