"""Convert each network to ONNX once in a process: many tests export the same one, and a conversion takes seconds."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import torch
from torch.export import ExportedProgram

CONVERT = torch.onnx.export


def convert_once() -> None:
    """Let `torch.onnx.export` return the model of an earlier call if it was given the same program and options."""
    models: dict[str, bytes] = {}

    def convert(program: Any, *given: Any, **options: Any) -> Any:
        if given or not isinstance(program, ExportedProgram):
            return CONVERT(program, *given, **options)
        key = content_of(program, options)
        if key not in models:
            models[key] = CONVERT(program, **options).model_proto.SerializeToString()
        return SimpleNamespace(model_proto=parsed(models[key]))

    torch.onnx.export = convert


def content_of(program: ExportedProgram, options: dict[str, Any]) -> str:
    """Return a hash of a program's operations, names and weights, and of the options."""
    digest = hashlib.sha256(f"{program.graph_signature}{program.graph_module.code}{sorted(options.items())}".encode())
    for name, value in {**program.state_dict, **program.constants}.items():
        array = value.detach().contiguous()
        digest.update(f"{name} {array.dtype} {tuple(array.shape)}".encode())
        digest.update(array.numpy().tobytes())
    return digest.hexdigest()


def parsed(content: bytes) -> Any:
    """Return a model of its own for each caller, who may change it."""
    import onnx

    return onnx.load_model_from_string(content)
