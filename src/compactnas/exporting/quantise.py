"""Quantise an ONNX file to 8 bits: weights and activations become integers, with ranges calibrated on real patches.

Static quantisation in the QDQ format by onnxruntime's tools. Weights have a scale for each channel and use 7 of their
8 bits: on a CPU without VNNI, the sum of two 8-bit products overflows 16 bits, and a network loses many points of
accuracy that it keeps elsewhere. The other operations, such as normalisation and softmax, compute in float32.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from compactnas.adopted.onnx_file import require_onnx
from compactnas.data import Indices, Source
from compactnas.exporting.graphs import described
from compactnas.exporting.names import INPUT

METHODS = ("MinMax", "Percentile", "Entropy")
"""Methods to calibrate the range of an activation, by onnxruntime's names."""

OPERATIONS = ["Conv", "Gemm", "Relu"]
"""Operations in 8 bits. Pooling and sums stay in float32: in 8 bits they raise the error by a third to a half."""

BATCH = 32
"""Number of patches in a batch of the calibration, whose activations are all in memory at once."""


def quantised(content: bytes, method: str, source: Source, rows: Indices) -> bytes:
    """Quantise an ONNX file to 8 bits.

    Args:
        content: Content of the float32 file.
        method: One of `METHODS`.
        source: Source of the patches.
        rows: Patches of the calibration.
    """
    require_onnx("onnx", "onnxruntime")
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
            # Calibrates one batch after the other. All methods support this, although it is named after one of them.
            extra_options={"CalibStridedMinMax": 1, "CalibTensorRangeSymmetric": False},
        )
        return described(onnx.load(after), own)


def _reader(source: Source, rows: Indices) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # it is Any to the type checker
        """Reader of the patches, batch by batch."""

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
    """Silence the progress that onnxruntime prints."""
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        yield
