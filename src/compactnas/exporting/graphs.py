"""Convert a trained network to graphs that run without this package: a `torch.export` program, and ONNX."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from compactnas.adopted.onnx_file import require_onnx
from compactnas.exporting.names import INPUT, OUTPUT
from compactnas.nn.registry import normalise_of
from compactnas.runs.task import Task

OPSET = 20
"""Version of ONNX's operators; onnxruntime reads it since 1.17."""

BATCH = "batch"

TRACES = ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node", "torch_fn")
"""Metadata of a traced node with source locations, which name files of this machine."""


class Answering(nn.Module):
    """A network with its softmax: takes raw patches and returns class probabilities."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, reflectance: Float[Tensor, "batch bands height width"]) -> Float[Tensor, "batch classes"]:
        probabilities: Tensor = self.network(reflectance).softmax(dim=-1)
        return probabilities


def trace(network: nn.Module, task: Task) -> ExportedProgram:
    """Trace the network with its softmax to a program of plain operations, for any number of patches."""
    example = torch.zeros(2, len(task.bands), task.patch_px, task.patch_px)
    with torch.no_grad():
        program = torch.export.export(
            Answering(network).eval(), (example,), dynamic_shapes={INPUT: {0: Dim(BATCH, min=1, max=2**20)}}
        )
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            for key in TRACES:
                node.meta.pop(key, None)
    return program


def program_bytes(program: ExportedProgram) -> bytes:
    """Return the content of a `.pt2` file with the program."""
    buffer = BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def onnx_bytes(program: ExportedProgram, task: Task, network: nn.Module) -> bytes:
    """Return the content of an ONNX file with the program, and with metadata on its input and output.

    Raises:
        UserError: The `export` extra is not installed.
    """
    require_onnx("onnx", "onnxscript", "onnxruntime")
    with warnings.catch_warnings(), quiet(logging.getLogger("torch.onnx")):
        warnings.simplefilter("ignore")  # warnings of the converter about itself
        converted = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            external_data=False,
            verbose=False,
        )
    assert converted is not None
    return described(converted.model_proto, metadata(task, network))


def described(model: Any, texts: dict[str, str]) -> bytes:
    """Serialise an ONNX model with these texts as metadata, and without traces of the machine that made it."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.doc_string = ""
        del part.metadata_props[:]
    del graph.value_info[:]  # readers infer them
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = BATCH
    graph.name, model.producer_name, model.producer_version = "compactnas", "", ""
    for key, text in texts.items():
        model.metadata_props.add(key=key, value=text)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def metadata(task: Task, network: nn.Module) -> dict[str, str]:
    """Metadata of an ONNX file, as JSON texts by name."""
    normalise = normalise_of(network)
    return {
        "bands": json.dumps(task.bands),
        "classes": json.dumps(task.classes),
        "patch_px": str(task.patch_px),
        "lcz": json.dumps(task.lcz),
        "normalisation": json.dumps(
            {"mean": normalise.mean.flatten().tolist(), "std": normalise.std.flatten().tolist()}
        ),
        "scaling": "none: give raw values (reflectance, or the training data's unit); the network normalises them",
    }


@contextmanager
def quiet(logger: logging.Logger) -> Iterator[None]:
    """Silence the converter's messages about libraries that are not installed."""
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
