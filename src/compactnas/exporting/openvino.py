"""Run a checked ONNX file in OpenVINO, on the CPU; it is imported only here, and late."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from compactnas.adopted.onnx_file import reason_of
from compactnas.errors import UserError
from compactnas.io.extras import require_extra
from compactnas.runs.task import Task

EXTRA = "openvino"


@dataclass(frozen=True)
class OpenVinoEngine:
    """The ONNX file of an export in OpenVINO, on the CPU.

    Attributes:
        task: Bands, classes and patch side.
        compiled: Compiled model of OpenVINO.
    """

    task: Task
    compiled: Any

    def probabilities(
        self, patches: Float32[np.ndarray, "batch bands height width"]
    ) -> Float32[np.ndarray, "batch classes"]:
        (output,) = self.compiled.outputs
        found: NDArray[np.float32] = self.compiled([patches])[output]
        return found


def compile_openvino(content: bytes, file: Path, threads: int, advice: str) -> Any:
    """Compile the bytes of a checked ONNX file in single precision; 0 threads takes all cores.

    Raises:
        UserError: OpenVINO is not installed, or cannot read the file.
    """
    require_extra(EXTRA, "--engine openvino: openvino is not installed", "openvino")
    import openvino

    # By itself, OpenVINO computes in 16 bits on processors that can.
    options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    try:
        core = openvino.Core()
        return core.compile_model(core.read_model(content), "CPU", options)
    except Exception as error:  # noqa: BLE001  # OpenVINO's errors have no other common class
        raise UserError(f"{file}: OpenVINO cannot read it ({reason_of(error)}); {advice}") from None
