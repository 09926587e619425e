"""Shared parts of searches and trainings: device, learning rate schedule, running means, and listeners."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch

from compactnas.config import MachineConfig
from compactnas.distributed.launch import join
from compactnas.errors import UserError
from compactnas.io.jsonl import Row

if TYPE_CHECKING:
    from lightning_fabric import Fabric

STATUS = Path("/proc/self/status")
"""File in which Linux describes this process."""


@runtime_checkable
class Listener(Protocol):
    """Interface for progress and warnings of a run."""

    def start(self, stage: str, epochs: int, steps: int, done: int = 0) -> None:
        """A stage starts, or resumes after `done` epochs. It has `epochs` epochs of `steps` steps each."""

    def step(self, metrics: dict[str, float]) -> None:
        """A step has finished."""

    def epoch(self, metrics: Row) -> None:
        """An epoch has finished."""

    def warn(self, text: str) -> None:
        """Report a warning that is important for the results."""

    def note(self, text: str) -> None:
        """Report that a part of a stage has finished."""

    def end(self) -> None:
        """The stage has ended."""


class Silent:
    """Listener that ignores everything."""

    def start(self, stage: str, epochs: int, steps: int, done: int = 0) -> None: ...
    def step(self, metrics: dict[str, float]) -> None: ...
    def epoch(self, metrics: Row) -> None: ...
    def warn(self, text: str) -> None: ...
    def note(self, text: str) -> None: ...
    def end(self) -> None: ...


def prepare_device(machine: MachineConfig) -> torch.device:
    """Choose the device of a run, and set the number of threads.

    Raises:
        UserError: The machine does not have this device, or the device does not support the precision.
    """
    if machine.threads:
        torch.set_num_threads(machine.threads)
    found = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    device = (
        next(name for name in ("cuda", "mps", "cpu") if found[name]) if machine.device == "auto" else machine.device
    )
    if not found[device]:
        raise UserError(f"machine.device: this machine has no {device} device; use auto or cpu")
    if device != "cuda" and machine.precision == "16-mixed":
        raise UserError(f"machine.precision: 16-mixed needs CUDA, not {device}; use bf16-mixed or 32-true")
    if device == "cpu":
        _keep_freed_memory()
    return torch.device("cuda", 0) if device == "cuda" else torch.device(device)


def make_fabric(machine: MachineConfig) -> Fabric:
    """Set up the device, threads and precision of a run, and its processes if it has several devices.

    Fabric takes seconds to import, most of them for torch's compiler, which torch's optimisers load as well. Commands
    that only measure a network call `prepare_device` instead.

    Raises:
        UserError: The machine does not have these devices, or the device does not support the precision.
    """
    device = prepare_device(machine).type
    if machine.world_size > 1:
        return join(machine, device)
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment

    # Ignore a cluster's environment variables: this run has one process even if the job has more.
    return Fabric(accelerator=device, devices=1, precision=machine.precision, plugins=[LightningEnvironment()])


def _keep_freed_memory() -> None:
    """Make glibc reuse freed memory: fresh pages for a feature map cost as much time as a ReLU."""
    if sys.platform == "linux":
        import ctypes

        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            trim_threshold, mmap_max = -1, -4
            mallopt(mmap_max, 0)
            mallopt(trim_threshold, 2**31 - 1)


def cosine(start: float, end: float, progress: float) -> float:
    """Cosine schedule from `start` (progress 0) to `end` (progress 1)."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


class Means:
    """Running means over an epoch. They stay on their device until they are read."""

    def __init__(self) -> None:
        self.sums: dict[str, torch.Tensor] = {}
        self.counts: dict[str, int] = {}

    def add(self, count: int, **values: torch.Tensor) -> None:
        """Add means over `count` patches."""
        for name, value in values.items():
            exact = torch.float32 if value.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
            weighted = value.detach().to(exact) * count
            self.sums[name] = self.sums[name].to(weighted.device) + weighted if name in self.sums else weighted
            self.counts[name] = self.counts.get(name, 0) + count

    def result(self) -> dict[str, float]:
        """Means, rounded to 6 decimals."""
        return {name: round(float(total) / self.counts[name], 6) for name, total in self.sums.items()}

    def finite(self) -> bool:
        """Check that all sums are finite. Waits for the device."""
        return all(math.isfinite(float(total)) for total in self.sums.values())

    def state(self) -> dict[str, Any]:
        """Sums and counts, for a checkpoint."""
        return {"sums": {name: total.cpu() for name, total in self.sums.items()}, "counts": dict(self.counts)}

    @classmethod
    def of(cls, state: dict[str, Any]) -> Means:
        """Restore means from such a state."""
        means = cls()
        means.sums, means.counts = dict(state["sums"]), dict(state["counts"])
        return means


def peak_memory_gib() -> float:
    """Peak memory of this process in GiB: GPU memory if it uses a GPU, else main memory; 0 if unknown (Windows)."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**30
    if STATUS.exists():  # on Linux, getrusage includes the memory of the parent at the start
        return int(STATUS.read_text().split("VmHWM:")[1].split()[0]) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**30  # macOS counts bytes
