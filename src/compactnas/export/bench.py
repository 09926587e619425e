"""Latency, throughput and memory of an export's files beside ResNets, each in a process of its own."""

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

from compactnas.errors import UserError
from compactnas.export.engines import open_session, task_of
from compactnas.export.graphs import onnx_bytes, trace
from compactnas.export.manifest import INT8, ONNX, WEIGHTS, Manifest
from compactnas.export.reading import require_extra
from compactnas.nn.baselines import compared_baselines
from compactnas.nn.registry import ModelSpec, build
from compactnas.runs.folder import load_spec
from compactnas.runs.task import Task
from compactnas.version import __version__

BESIDE = compared_baselines()
"""Untrained, exported to ONNX in the same way: what a network knows does not change how long it takes."""

BATCHES = (1, 256)


@dataclass(frozen=True)
class Timing:
    """Time of one network at one batch size.

    Attributes:
        network: file of the export, or a ResNet's name.
        engine: that ran it.
        batch: patches of a call.
        calls: that were timed, over all rounds.
        median_ms: Median time of a call.
        p90_ms: nine of ten calls took no longer.
        cpu_ms: Processor time of all threads for a call, the median over the rounds; other programs disturb it less
            than the clock.
        patches_per_s: Patches per second at the median time.
        peak_mb: most memory that its process held, libraries and all, in 10^6 bytes; 0 where it is not known.
        file_bytes: size of its file.
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
    """Measure the networks in turn, some rounds of all, so that a busy moment of the machine meets each of them.

    Args:
        export: folder of `compactnas export`.
        rounds: how often each network has its turn at each batch size.
        seconds: that a turn measures for.
        threads: Number of threads of each engine; 0 leaves the engine's choice.
        progress: Function that receives the number of finished rounds and their total.

    Returns:
        What was measured on, and `timings`, a `Timing` each, as JSON values.

    Errors:
        UserError: it is no export, or one of its files is damaged; a number is less than it can be.
    """
    for name, value, least in (("rounds", rounds, 1), ("seconds", seconds, 0), ("threads", threads, 0)):
        if value < least:
            raise UserError(f"{name}: {value} is less than {least}")
    require_extra("onnx", "onnxscript", "onnxruntime")
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
    """The engines that an export's files can be run by, looked at before anything runs them."""
    manifest, spec = Manifest.read(export), load_spec(export)
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
    words = [sys.executable, "-m", "compactnas.export.timed", subject.engine, str(subject.path), *map(str, numbers)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603  # our own module
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["ended without a word"]
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
    """Conditions that the figures depend on besides the networks."""
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
    """Its name as Linux has it, else its kind."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
