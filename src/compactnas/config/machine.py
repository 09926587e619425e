"""Where a run computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from compactnas.config.requiring import require

NEUTRAL = ("checkpoint_minutes", "keep_checkpoints")
"""Of a `MachineConfig`: what no result depends on."""

MOST_PROCESSORS = 4096

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True)
class MachineConfig:
    """Where a run computes.

    Attributes:
        device: `auto`, `cpu`, `cuda` or `mps`.
        threads: CPU threads of each process; 0 leaves torch's choice, or the cores over the processes.
            Results are the same bytes only at the same number.
        precision: of the arithmetic, as lightning-fabric names it.
        channels_last: memory format of activations; faster on CPUs and tensor cores.
        data_on_device: keep all patches in the device's memory, so that no batch is copied to it; a
            packed set takes two bytes a value there.
        devices: of each node that compute one run together, on a CPU processes; batches stay those of
            one device, each takes its share of them.
        nodes: machines, each with so many devices, started by torchrun or srun.
        checkpoint_minutes: time after which the next step is kept on disk, beside the end of each epoch; 0, only
            epochs are.
        keep_checkpoints: how many of the newest checkpoints of a stage stay.
    """

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: int = 0
    precision: Precision = "32-true"
    channels_last: bool = True
    data_on_device: bool = False
    devices: int = 1
    nodes: int = 1
    checkpoint_minutes: float = 10.0
    keep_checkpoints: int = 2

    def __post_init__(self) -> None:
        require(
            self.checkpoint_minutes >= 0,
            f"machine.checkpoint_minutes: {self.checkpoint_minutes:g} is negative; 0: none",
        )
        require(self.threads >= 0, f"machine.threads: {self.threads} is negative; 0 leaves torch's choice")
        for name in ("devices", "nodes", "keep_checkpoints"):
            require(getattr(self, name) >= 1, f"machine.{name}: {getattr(self, name)} is less than 1")
        for name in ("threads", "devices", "nodes"):
            most = MOST_PROCESSORS
            require(getattr(self, name) <= most, f"machine.{name}: {getattr(self, name)} is more than {most}")
