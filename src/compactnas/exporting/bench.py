"""Measure latency, throughput and memory of an export's files and of baselines, each in its own process."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compactnas.adopted.onnx_file import require_onnx
from compactnas.errors import UserError
from compactnas.exporting.engines import open_session, task_of
from compactnas.exporting.graphs import onnx_bytes, trace
from compactnas.exporting.manifest import Manifest
from compactnas.exporting.names import INT8, ONNX, WEIGHTS
from compactnas.nn.baselines import compared_baselines
from compactnas.nn.registry import ModelSpec, build
from compactnas.runs.task import Task
from compactnas.version import __version__

BESIDE = compared_baselines()
"""Baselines to compare with, exported to ONNX in the same way. They are untrained: weights do not change the speed."""

BATCHES = (1, 256)


@dataclass(frozen=True)
class Timing:
    """Time of one network at one batch size.

    Attributes:
        network: File of the export, or name of a baseline.
        engine: Engine that ran the network.
        batch: Number of patches in a call.
        calls: Number of timed calls over all rounds.
        median_ms: Median time of a call.
        p90_ms: 90th percentile of the time of a call.
        cpu_ms: CPU time of all threads for a call, as the median over the rounds; other programs disturb it less
            than the wall time.
        patches_per_s: Patches per second at the median time.
        peak_mb: Peak memory of the process, libraries included, in 10^6 bytes; 0 if unknown.
        file_bytes: Size of the file in bytes.
        parameters: Number of trained weights.
    """

    network: str
    engine: str
    batch: int
    calls: int
    median_ms: float
    p90_ms: float
    cpu_ms: float
    patches_per_s: float
    peak_mb: float
    file_bytes: int
    parameters: int


@dataclass(frozen=True)
class _Subject:
    network: str
    engine: str
    path: Path
    file_bytes: int
    parameters: int


def bench_export(
    export: Path,
    *,
    rounds: int = 3,
    seconds: int = 1,
    threads: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Measure all networks in turn, for several rounds, so that a busy moment of the machine affects all of them.

    Args:
        export: Folder of an export.
        rounds: Number of turns of each network at each batch size.
        seconds: Seconds of each turn.
        threads: Number of threads of each engine; 0 lets the engine choose.
        progress: Function that receives the number of finished rounds and their total.

    Returns:
        Conditions of the measurement, and `timings` with the values of one `Timing` each, as JSON values.

    Raises:
        UserError: The folder is not an export, one of its files is damaged, or a number is too small.
    """
    for name, value, least in (("rounds", rounds, 1), ("seconds", seconds, 0), ("threads", threads, 0)):
        if value < least:
            raise UserError(f"{name}: {value} is less than {least}")
    require_onnx("onnx", "onnxscript", "onnxruntime")
    task = task_of(export)
    with tempfile.TemporaryDirectory() as home:
        subjects = [*_of_export(export, task), *_beside(Path(home), task)]
        turns = [(subject, batch) for _ in range(rounds) for batch in BATCHES for subject in subjects]
        taken: dict[tuple[_Subject, int], list[dict[str, Any]]] = {}
        for done, (subject, batch) in enumerate(turns, 1):
            taken.setdefault((subject, batch), []).append(_turn(subject, batch, task, threads, seconds))
            if progress is not None:
                progress(done, len(turns))
    timings = [_summary(subject, batch, results) for (subject, batch), results in taken.items()]
    return _circumstances(threads, rounds) | {"timings": [asdict(timing) for timing in timings]}


def _of_export(export: Path, task: Task) -> list[_Subject]:
    """List the files of an export with the engine of each, and check each file before it runs."""
    manifest, spec = Manifest.read(export), ModelSpec.read(export)
    parameters = _parameters(spec)
    subjects = []
    for name in (ONNX, INT8, WEIGHTS):
        if name not in manifest.files:
            continue
        content = manifest.content(export, name)
        if name != WEIGHTS:
            open_session(content, task, export / name)
        path, engine = (export, "torch") if name == WEIGHTS else (export / name, "onnx")
        subjects.append(_Subject(name, engine, path, len(content), parameters))
    return subjects


def _beside(home: Path, task: Task) -> list[_Subject]:
    subjects = []
    for name in BESIDE:
        spec = ModelSpec(name, len(task.bands), len(task.classes), task.patch_px)
        network = build(spec).eval()
        file = home / f"{name}.onnx"
        file.write_bytes(onnx_bytes(trace(network, task), task, network))
        subjects.append(_Subject(name, "onnx", file, file.stat().st_size, _parameters(spec)))
    return subjects


def _parameters(spec: ModelSpec) -> int:
    return sum(weight.numel() for weight in build(spec).parameters())


def _turn(subject: _Subject, batch: int, task: Task, threads: int, seconds: int) -> dict[str, Any]:
    numbers = [batch, len(task.bands), task.patch_px, threads, seconds]
    words = [sys.executable, "-m", "compactnas.exporting.timed", subject.engine, str(subject.path), *map(str, numbers)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603  # our own module
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["the process ended without a message"]
        raise UserError(f"{subject.network} at batch {batch}: {last[0]}; free memory, or export again")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _summary(subject: _Subject, batch: int, results: list[dict[str, Any]]) -> Timing:
    seconds = np.concatenate([result["seconds"] for result in results])
    median, p90 = np.quantile(seconds, (0.5, 0.9)).tolist()
    return Timing(
        network=subject.network,
        engine=subject.engine,
        batch=batch,
        calls=len(seconds),
        median_ms=1e3 * median,
        p90_ms=1e3 * p90,
        cpu_ms=1e3 * float(np.median([result["cpu_seconds"] for result in results])),
        patches_per_s=batch / median,
        peak_mb=max(result["peak_bytes"] for result in results) / 1e6,
        file_bytes=subject.file_bytes,
        parameters=subject.parameters,
    )


def _circumstances(threads: int, rounds: int) -> dict[str, Any]:
    """List the conditions that the timings depend on, besides the networks."""
    import onnxruntime
    import torch

    return {
        "compactnas": __version__,
        "torch": torch.__version__,
        "onnxruntime": onnxruntime.__version__,
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "rounds": rounds,
    }


def _processor() -> str:
    """Return the name of the processor on Linux, elsewhere its architecture."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
