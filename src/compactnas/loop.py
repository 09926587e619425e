"""What a search and a training share: the machine, the schedule, and epochs that survive a kill."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from compactnas.config import MachineConfig
from compactnas.errors import UserError
from compactnas.files import read_json, write_json
from compactnas.launch import join, processes
from compactnas.ranks import ALONE, Ranks
from compactnas.runs import Row, load_checkpoint, save_checkpoint, write_rows


@runtime_checkable
class Listener(Protocol):
    """Who is told how a run goes."""

    def start(self, stage: str, epochs: int, steps: int, done: int = 0) -> None:
        """A stage of so many epochs of so many steps begins, or goes on after `done` epochs."""

    def step(self, metrics: dict[str, float]) -> None:
        """A step is done."""

    def epoch(self, metrics: Row) -> None:
        """An epoch is done."""

    def warn(self, text: str) -> None:
        """Something the reader of the results must know."""

    def end(self) -> None:
        """The stage is done."""


class Silent:
    """A listener that says nothing."""

    def start(self, stage: str, epochs: int, steps: int, done: int = 0) -> None: ...
    def step(self, metrics: dict[str, float]) -> None: ...
    def epoch(self, metrics: Row) -> None: ...
    def warn(self, text: str) -> None: ...
    def end(self) -> None: ...


def make_fabric(machine: MachineConfig) -> Fabric:
    """The device, threads and precision of a run; with several devices, also the processes that share it.

    Errors:
        UserError: the device is not there, or not so many of them, or it cannot compute in this precision.
    """
    if machine.threads:
        torch.set_num_threads(machine.threads)
    found = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    device = (
        next(name for name in ("cuda", "mps", "cpu") if found[name]) if machine.device == "auto" else machine.device
    )
    if not found[device]:
        raise UserError(f"machine.device: no {device} on this machine; use auto or cpu")
    if device != "cuda" and machine.precision == "16-mixed":
        raise UserError(f"machine.precision: 16-mixed needs CUDA, not {device}; use bf16-mixed or 32-true")
    if device == "cpu":
        _keep_freed_memory()
    if processes(machine) > 1:
        return join(machine, device)
    # Alone is alone, also in a task of a cluster whose environment speaks of others.
    return Fabric(accelerator=device, devices=1, precision=machine.precision, plugins=[LightningEnvironment()])


def _keep_freed_memory() -> None:
    """Have glibc keep what is freed for the next maps: pages that come fresh from the kernel cost as much as a ReLU."""
    if sys.platform == "linux":
        import ctypes

        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            trim_threshold, mmap_max = -1, -4
            mallopt(mmap_max, 0)
            mallopt(trim_threshold, 2**31 - 1)


def cosine(start: float, end: float, progress: float) -> float:
    """Cosine from start (progress 0) to end (progress 1)."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


class Means:
    """Running means over an epoch, kept where they are computed until they are asked for."""

    def __init__(self) -> None:
        self.sums: dict[str, torch.Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, count: int, **values: torch.Tensor) -> None:
        """Add means over `count` patches."""
        for name, value in values.items():
            weighted = value.detach().double() * count
            self.sums[name] = self.sums[name] + weighted if name in self.sums else weighted
            self.counts[name] = self.counts.get(name, 0) + count

    def result(self) -> dict[str, float]:
        """All means, rounded to 6 decimals."""
        return {name: round(float(total) / self.counts[name], 6) for name, total in self.sums.items()}


@dataclass(frozen=True)
class Stage:
    """A loop's epochs, its whole state, and where both are kept.

    Attributes:
        folder: where metrics and checkpoint are written.
        name: for the listener.
        epochs: how many.
        steps: of an epoch.
        max_steps: stop after so many steps, to try a setting; 0 runs all.
        run_epoch: runs one epoch, calls the function that it is given after each step and stops
            when that answers False; gives the epoch's metrics.
        state: the whole state, as tensors and plain values.
        restore: takes such a state.
        finished: whether the rows so far end the stage early.
        ranks: the processes that run it together; the first one writes.
    """

    folder: Path
    name: str
    epochs: int
    steps: int
    max_steps: int
    run_epoch: Callable[[int, Callable[[dict[str, float]], bool]], Row]
    state: Callable[[], dict[str, Any]]
    restore: Callable[[dict[str, Any]], None]
    finished: Callable[[list[Row]], bool] = lambda rows: False
    ranks: Ranks = ALONE

    def run(self, listener: Listener, *, resume: bool) -> list[Row]:
        """Run the epochs that are left; after each, metrics and the whole state are on disk."""
        checkpoint = self.folder / "checkpoint.pt"
        rows: list[Row] = []
        saved = load_checkpoint(checkpoint) if resume else None
        if saved is not None:
            rows = saved["rows"]
            torch.set_rng_state(saved["rng"])
            self.restore(saved["state"])
        self.ranks.require_same("the epoch to go on from", len(rows))
        listener.start(self.name, self.epochs, self.steps, len(rows))
        try:
            self._run_from(rows, checkpoint, listener)
        finally:
            listener.end()
        return rows

    def _run_from(self, rows: list[Row], checkpoint: Path, listener: Listener) -> None:
        budget = _Budget(self, listener)
        while len(rows) < self.epochs and not (rows and self.finished(rows)):
            began = time.monotonic()
            rows.append({"epoch": len(rows) + 1} | self.run_epoch(len(rows), budget.step))
            if self.ranks.first:
                self._keep(rows, None if budget.spent else checkpoint, began)
            if budget.spent:
                break
            listener.epoch(rows[-1])

    def _keep(self, rows: list[Row], checkpoint: Path | None, began: float) -> None:
        """Write metrics and, unless the stage was cut short, the whole state; it is the same in all processes."""
        if checkpoint is not None:
            save_checkpoint(checkpoint, {"rows": rows, "rng": torch.get_rng_state(), "state": self.state()})
        write_rows(self.folder / "metrics.jsonl", rows)
        if checkpoint is not None:
            self._add_seconds(time.monotonic() - began, len(rows))

    def _add_seconds(self, seconds: float, epochs: int) -> None:
        """Keep the stage's wall time apart: metrics must be the same bytes when run again."""
        file = self.folder / "seconds.json"
        before = read_json(file, "remove it") if file.exists() and epochs > 1 else 0.0
        write_json(file, round(float(before) + seconds, 3))


class _Budget:
    """Counts steps, tells the listener, and says what the whole stage would take."""

    def __init__(self, stage: Stage, listener: Listener) -> None:
        self.stage, self.listener = stage, listener
        self.done, self.spent = 0, False
        self.times = [time.monotonic()]

    def step(self, metrics: dict[str, float]) -> bool:
        """Count a step; False when there is no more to do."""
        self.done += 1
        self.listener.step(metrics)
        if not self.stage.max_steps:
            return True
        self.times.append(time.monotonic())
        self.spent = self.done >= self.stage.max_steps
        if self.spent:
            self.listener.warn(self._estimate())
        return not self.spent

    def _estimate(self) -> str:
        spans = sorted(later - sooner for sooner, later in zip(self.times, self.times[1:], strict=False))
        median = spans[len(spans) // 2]
        steps = self.stage.epochs * self.stage.steps
        return (
            f"{self.stage.name}: stopped after {self.done} steps of {median:.3f} s (median); the whole, "
            f"{self.stage.epochs} epochs of {self.stage.steps} steps, would take about {duration(median * steps)} "
            f"and {peak_memory_gib():.2f} GiB of memory"
        )


def duration(seconds: float) -> str:
    """A time that somebody will wait, in the unit that fits it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def peak_memory_gib() -> float:
    """Most memory that this process has held, on the GPU if it uses one, in GiB."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**30
    status = Path("/proc/self/status")
    if status.exists():  # on Linux getrusage starts from what the parent held when it started this process
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**20
    import resource  # absent on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**30  # macOS counts bytes
