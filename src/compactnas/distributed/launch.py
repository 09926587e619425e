"""Start the processes of a run on several devices, or join those that torchrun or srun has started.

By default `compactnas` starts them itself: lightning-fabric runs the same command again for each further device.
Mismatches are found before any process waits for another. Torch is imported late, to keep `--help` fast.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Literal

from compactnas.config import MachineConfig
from compactnas.errors import AlreadyReportedError, UserError

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment

Starter = Literal["torchrun", "srun", "itself"]

WATCH_S = 1.0
"""Seconds between two checks that the parent process is alive."""

LOOPBACKS = {"linux": "lo", "darwin": "lo0"}
"""System -> network interface of the machine itself; on others, Gloo chooses one."""


def starter() -> Starter:
    """Detect how the processes are started. A Slurm batch script without srun counts as a plain shell."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return "torchrun"
    return "srun" if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1 else "itself"


def rank() -> int:
    """Rank of this process, from the environment; 0 for a single process."""
    names: dict[Starter, tuple[str, ...]] = {
        "torchrun": ("RANK",),
        "srun": ("SLURM_PROCID",),
        "itself": ("LOCAL_RANK", "NODE_RANK"),
    }
    return max(int(os.environ.get(name, "0")) for name in names[starter()])


def is_rank_zero(machine: MachineConfig) -> bool:
    """Check whether this process reports for its run."""
    return machine.world_size == 1 or rank() == 0


def require_processes(machine: MachineConfig) -> None:
    """Raise a `UserError` if the number of processes does not match the devices and nodes of the config.

    Only the first process reports it.
    """
    by, devices, nodes = starter(), machine.devices, machine.nodes
    if by == "itself":
        if nodes > 1 and "MASTER_ADDR" not in os.environ:
            raise UserError(
                f"machine.nodes: {nodes} nodes need torchrun or srun to start compactnas on each of them; "
                "see docs/devices.md"
            )
        return
    names = ("WORLD_SIZE", "LOCAL_WORLD_SIZE") if by == "torchrun" else ("SLURM_STEP_NUM_TASKS", "SLURM_NNODES")
    started, second = (int(os.environ.get(name, "1")) for name in names)
    per_node, on = (second, started // second) if by == "torchrun" else (started // second, second)
    if (devices, nodes) != (per_node, on):
        text = (
            f"machine.devices, machine.nodes: {devices} x {nodes}, but {by} has started {started} processes on {on} "
            f"node{'s' * (on > 1)}; give --devices {per_node} --nodes {on}, or start {devices * nodes}"
        )
        raise UserError(text) if rank() == 0 else AlreadyReportedError(text)
    if by == "srun" and "SLURM_NTASKS_PER_NODE" not in os.environ:
        os.environ["SLURM_NTASKS_PER_NODE"] = str(per_node)  # fabric needs it, and `srun -n` does not set it


def join(machine: MachineConfig, device: str) -> Fabric:
    """Start the processes of a run, or join those that are running, and return this process's Fabric.

    Fabric provides processes, precision and optimisers, but wraps no module: gradients are summed by
    `ProcessGroup.sum`, because DDP would search for the unused parameters of each sampled path and does not
    handle alpha.

    Raises:
        UserError: The machine has too few devices, or the number of processes does not match the config.
    """
    import torch
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy
    from torch import distributed

    require_processes(machine)
    _require_devices(machine, device)
    if device == "cpu" and not machine.threads and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, len(_cores()) // machine.devices))
    if machine.nodes == 1 and sys.platform in LOOPBACKS:  # communicate within the machine only
        os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACKS[sys.platform])
    if "OMP_NUM_THREADS" not in os.environ:  # else fabric sets its own number
        os.environ["OMP_NUM_THREADS"] = str(torch.get_num_threads())
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fresh, started = not distributed.is_initialized(), starter() == "itself" and rank() > 0
    fabric = Fabric(
        accelerator=device,
        devices=machine.devices,
        num_nodes=machine.nodes,
        precision=machine.precision,
        strategy=DDPStrategy(process_group_backend="gloo" if device == "cpu" else "cpu:gloo,cuda:nccl"),
        plugins=[_environment()],
    )
    fabric.launch()
    if fresh and started:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    if fresh:  # backend threads that outlive the interpreter would abort the process (SIGABRT)
        atexit.register(_leave)
    return fabric


def _cores() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def _require_devices(machine: MachineConfig, device: str) -> None:
    import torch

    if device == "mps":
        raise UserError(f"machine.devices: mps has one device, not {machine.devices}; use --machine.device cpu or cuda")
    if device == "cuda" and torch.cuda.device_count() < machine.devices:
        there = torch.cuda.device_count()
        raise UserError(
            f"machine.devices: {machine.devices} GPUs requested, but this process sees {there}; use --devices {there}, "
            "or with Slurm let each task see all GPUs of its node (--gpus-per-node, not --gpus-per-task)"
        )


def _environment() -> ClusterEnvironment:
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    by = starter()
    if by == "torchrun":
        return TorchElasticEnvironment()
    return SLURMEnvironment(auto_requeue=False) if by == "srun" else LightningEnvironment()


def _end_with(parent: int) -> None:
    """Exit when the parent process has ended, because NCCL would wait for it for minutes."""
    while os.getppid() == parent:
        time.sleep(WATCH_S)
    os._exit(1)


def _leave() -> None:
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()
