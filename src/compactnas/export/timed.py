"""One measurement in a process of its own: `python -m compactnas.export.timed`, called by `compactnas bench`.

It imports no more than what a program that uses the file would need, so that its memory is such a program's.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

FEWEST = 5
"""Calls of a measurement, also where they take longer than it should."""


def main(words: list[str]) -> None:
    """Time calls of a file's network.

    Writes to stdout, as JSON: seconds of each call, seconds of the CPU for one, and the peak memory.

    Args:
        words: `onnx` or `torch`, the file or folder, batch, bands, patch side, threads, seconds to measure for.
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
    from compactnas.export.engines import open_engine

    return open_engine(path, "torch", threads).probabilities


def _peak_bytes() -> int:
    """Most memory that this process has held; 0 where Linux does not say it."""
    status = Path("/proc/self/status")
    return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0]) if status.exists() else 0


if __name__ == "__main__":
    main(sys.argv[1:])
