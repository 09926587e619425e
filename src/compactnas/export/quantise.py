"""The 8-bit form of an ONNX file: weights and activations as whole numbers, their ranges measured on real patches.

Static quantisation in the QDQ form by onnxruntime's own tools. Weights have a scale for each channel and 7 of their 8
bits are used: on a CPU without VNNI the sums of two products of 8 bits overflow 16, and a network loses many points of
accuracy that it keeps elsewhere. The rest computes in float32, the normalisation and the softmax too.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from compactnas.data import Indices, Source
from compactnas.export.graphs import described
from compactnas.export.manifest import INPUT
from compactnas.export.reading import require_extra

METHODS = ("MinMax", "Percentile", "Entropy")
"""Ways to find the range of an activation, by onnxruntime's names."""

OPERATIONS = ["Conv", "Gemm", "Relu"]
"""In 8 bits. Pooling and sums stay in float32: in 8 bits too, answers moved by a third to a half more."""

BATCH = 32
"""Patches whose activations are all kept at once while ranges are measured."""


def quantised(content: bytes, method: str, source: Source, rows: Indices) -> bytes:
    """An ONNX file in 8 bits.

    Args:
        content: the float32 file.
        method: one of `METHODS`.
        source: where the patches are.
        rows: patches that ranges are measured on.
    """
    require_extra("onnx", "onnxruntime")
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantType, quantize_static

    model = onnx.load_model_from_string(content)
    own = {entry.key: entry.value for entry in model.metadata_props}
    model.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")  # torch's exporter has done it
    with tempfile.TemporaryDirectory() as home, _quiet():
        before, after = Path(home, "float32.onnx"), Path(home, "int8.onnx")
        before.write_bytes(model.SerializeToString())
        quantize_static(
            before,
            after,
            _reader(source, rows),
            op_types_to_quantize=OPERATIONS,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod[method],
            # One batch after the other, which all methods know although it is named after one of them.
            extra_options={"CalibStridedMinMax": 1, "CalibTensorRangeSymmetric": False},
        )
        return described(onnx.load(after), own)


def _reader(source: Source, rows: Indices) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # it is Any to the type checker
        """Batches of patches, some at a time."""

        def __init__(self) -> None:
            self.left: Iterator[Indices] = iter(batches)

        def __len__(self) -> int:
            return len(batches)

        def set_range(self, start_index: int, end_index: int) -> None:
            self.left = iter(batches[start_index:end_index])

        def get_next(self) -> dict[str, Any] | None:
            chosen = next(self.left, None)
            return None if chosen is None else {INPUT: np.asarray(source.batch(chosen)[0], np.float32)}

    return Reader()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what onnxruntime prints about its progress."""
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        yield
