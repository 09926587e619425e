"""Names of the engines that run a trained network."""

from __future__ import annotations

from typing import Literal

EngineName = Literal["auto", "torch", "onnx", "int8", "openvino"]
"""Name of an engine; `auto` takes onnxruntime for an export if it is installed."""
