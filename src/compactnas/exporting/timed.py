"""Time one network in its own process: `python -m compactnas.exporting.timed`, called by `compactnas bench`.

The process imports no more than a program that uses the file, so that it needs as much memory as such a program.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

FEWEST = 5
"""Smallest number of calls in a measurement, even if they take longer than the requested time."""


def main(words: list[str]) -> None:
    """Time calls of a file's network.

    Writes to stdout, as JSON: seconds of each call, CPU seconds per call, and peak memory.

    Args:
        words: `onnx` or `torch`, file or folder, batch size, number of bands, patch side, threads, seconds to measure.
    """
    kind, path, *numbers = words
    batch, bands, px, threads, seconds = map(int, numbers)
    ask = (_onnx if kind == "onnx" else _torch)(Path(path), threads)
    patches = np.random.default_rng(0).random((batch, bands, px, px), np.float32)
    ask(patches)
    ask(patches)
    times: list[float] = []
    began, worked = time.perf_counter(), time.process_time()
    while len(times) < FEWEST or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        ask(patches)
        times.append(time.perf_counter() - start)
    cpu = (time.process_time() - worked) / len(times)
    sys.stdout.write(json.dumps({"seconds": times, "cpu_seconds": cpu, "peak_bytes": _peak_bytes()}))


def _onnx(path: Path, threads: int) -> Callable[[np.ndarray], object]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda patches: session.run(None, {name: patches})


def _torch(path: Path, threads: int) -> Callable[[np.ndarray], object]:
    from compactnas.exporting.engines import open_engine

    return open_engine(path, "torch", threads).probabilities


def _peak_bytes() -> int:
    """Return the peak memory of this process; 0 on systems other than Linux."""
    status = Path("/proc/self/status")
    return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0]) if status.exists() else 0


if __name__ == "__main__":
    main(sys.argv[1:])
