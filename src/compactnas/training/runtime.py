"""What a search and a training share: the machine, the schedule, running means, and who is told."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from compactnas.config import MachineConfig
from compactnas.distributed.launch import join, world_size
from compactnas.errors import UserError
from compactnas.io.jsonl import Row


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
    if world_size(machine) > 1:
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
            self.sums[name] = self.sums[name].to(weighted.device) + weighted if name in self.sums else weighted
            self.counts[name] = self.counts.get(name, 0) + count

    def result(self) -> dict[str, float]:
        """All means, rounded to 6 decimals."""
        return {name: round(float(total) / self.counts[name], 6) for name, total in self.sums.items()}

    def finite(self) -> bool:
        """Whether all sums are numbers; waits for the device that has them."""
        return all(math.isfinite(float(total)) for total in self.sums.values())

    def state(self) -> dict[str, Any]:
        """The sums and counts as they are."""
        return {"sums": {name: total.cpu() for name, total in self.sums.items()}, "counts": dict(self.counts)}

    @classmethod
    def of(cls, state: dict[str, Any]) -> Means:
        """The means of such a state."""
        means = cls()
        means.sums, means.counts = dict(state["sums"]), dict(state["counts"])
        return means


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
