"""Device and processes of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from compactnas.config.requiring import require

NEUTRAL = ("checkpoint_minutes", "keep_checkpoints")
"""Fields of a `MachineConfig` that do not change any result."""

MOST_PROCESSORS = 4096

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True)
class MachineConfig:
    """Device and processes of a run.

    Attributes:
        device: Device that computes; `auto` takes a GPU if there is one.
        threads: Number of CPU threads of each process; 0 takes torch's default, or the cores divided by the processes.
            Results are byte-identical only with the same number.
        precision: Precision of the arithmetic, as lightning-fabric names it.
        channels_last: Memory format of activations with the channels last: faster on CPUs and tensor cores.
        data_on_device: Keep all patches in the memory of the device. A packed set takes two bytes for each value.
        devices: Number of devices of each node that share one run; on a CPU, processes. They share each batch.
        nodes: Number of machines that share one run, started by torchrun or srun.
        checkpoint_minutes: Minutes between checkpoints within an epoch; 0 writes them only at the end of each epoch.
        keep_checkpoints: Number of checkpoints of a stage to keep; older ones are removed.
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
            f"machine.checkpoint_minutes: {self.checkpoint_minutes:g} is negative; give 0 (only at the end of each "
            "epoch) or more",
        )
        require(self.threads >= 0, f"machine.threads: {self.threads} is negative; give 0 (torch's default) or more")
        for name in ("devices", "nodes", "keep_checkpoints"):
            require(getattr(self, name) >= 1, f"machine.{name}: {getattr(self, name)} is less than 1; give 1 or more")
        for name in ("threads", "devices", "nodes"):
            most = MOST_PROCESSORS
            require(
                getattr(self, name) <= most,
                f"machine.{name}: {getattr(self, name)} is more than {most}; give {most} or less",
            )

    @property
    def world_size(self) -> int:
        """Number of processes of a run: one for each device of each node."""
        return self.devices * self.nodes
