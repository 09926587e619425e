"""Write ONNX networks as other software does, for tests of `compactnas adopt`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

SIDE, CLASSES = 16, 17
BANDS = ("B08", "B04", "B03", "B02")
"""Bands of the foreign network, in its order."""


class ForeignNetwork(nn.Module):
    """A small classifier of somebody else: bands last, digital numbers minus their mean, softmax inside."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.filters = nn.Conv2d(len(BANDS), 8, 3, stride=2, padding=1)
        self.head = nn.Linear(8, CLASSES)
        with torch.no_grad():
            self.head.weight *= 20  # so that classes differ between places

    def forward(self, sentinel_image: Tensor) -> Tensor:
        x = self.filters(sentinel_image.permute(0, 3, 1, 2)).relu().mean(dim=(2, 3))
        return self.head(x).softmax(dim=-1)


MEAN, STD = (2500.0, 2400.0, 2300.0, 2200.0), (900.0, 800.0, 700.0, 600.0)
"""Normalisation that its training code did outside the network, in digital numbers."""
MACS, WEIGHTS = 8 * 8 * 8 * 9 * len(BANDS) + 8 * CLASSES, 8 * 9 * len(BANDS) + 8 + 8 * CLASSES + CLASSES
OPTIONS = (
    *("--bands", ",".join(BANDS), "--classes", "lcz", "--scale", "0.0001"),
    *("--mean", ",".join(map(str, MEAN)), "--std", ",".join(map(str, STD))),
)


def foreign_probabilities(network: nn.Module, reflectance: np.ndarray) -> np.ndarray:
    """Plain computation of the network's probabilities for reflectance (patches, its bands, rows, columns)."""
    numbers = reflectance.astype(np.float64) / 0.0001
    scaled = (numbers - np.reshape(MEAN, (4, 1, 1))) / np.reshape(STD, (4, 1, 1))
    with torch.inference_mode():
        found: np.ndarray = network(torch.from_numpy(scaled.transpose(0, 2, 3, 1).astype(np.float32))).numpy()
    return found


def write_foreign(file: Path) -> nn.Module:
    """Write the network with torch's exporter, for any number of images named `sentinel_image`; return it."""
    network = ForeignNetwork().eval()
    save_with_torch(network, file, torch.zeros(2, SIDE, SIDE, len(BANDS)), "sentinel_image")
    return network


def save_with_torch(network: nn.Module, file: Path, example: Tensor, name: str) -> None:
    """Write a network for any number of images with torch's older exporter, which is quick."""
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings of the exporter about itself
        torch.onnx.export(
            network, (example,), buffer, dynamo=False, input_names=[name], dynamic_axes={name: {0: "images"}}
        )
    file.write_bytes(buffer.getvalue())


def graph_of(
    nodes: Sequence[Any],
    given: Sequence[int | str] = ("n", 4, 8, 8),
    outputs: Sequence[str] = ("scores",),
    kind: int = 1,
    **weights: np.ndarray,
) -> Any:
    """Make an ONNX model of nodes by hand.

    Args:
        nodes: Nodes from `x` to the outputs.
        given: Shape of the input `x`.
        outputs: Names of the outputs.
        kind: Element type of the input, as ONNX numbers it; 1 is float32.
        weights: Constants by name.
    """
    from onnx import helper, numpy_helper

    graph = helper.make_graph(
        list(nodes),
        "by hand",
        [helper.make_tensor_value_info("x", kind, given)],
        [helper.make_tensor_value_info(name, 1, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def node(operation: str, given: str, made: str, **attributes: Any) -> Any:
    """Make a node from the names of its inputs and outputs, separated by spaces."""
    from onnx import helper

    return helper.make_node(operation, given.split(), made.split(), **attributes)


def means(*after: Any, **options: Any) -> Any:
    """Make a model whose `scores` are the means of the four bands times ten, or what further nodes make of `logits`."""
    nodes = [
        node("GlobalAveragePool", "x", "pooled"),
        node("Flatten", "pooled", "flat"),
        node("Mul", "flat ten", "logits" if after else "scores"),
        *after,
    ]
    return graph_of(nodes, **{"ten": np.array(10, np.float32)} | options)
