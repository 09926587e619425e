"""Do tasks side by side on this machine: a process for each core of a CPU, of one thread by default."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from compactnas.config import DataConfig, MachineConfig
from compactnas.data import Dataset
from compactnas.data.source import preloaded_gib
from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_json
from compactnas.training.runtime import Listener, prepare_device
from compactnas.training.workers import Prepare, Work, Workers

MEMORY = Path("/proc/meminfo")
"""File in which Linux describes the memory of the machine."""
PROCESS_GIB = 1.0
"""Memory of a process besides its patches, in GiB: torch, and a small network in training."""


@dataclass(frozen=True)
class Sharing:
    """How tasks share the cores of this machine.

    Attributes:
        processes: Number of tasks at a time.
        threads: Number of threads of each, if there are at least as many tasks as processes.
        alone: Number of threads of a task that has the machine for itself.
    """

    processes: int
    threads: int
    alone: int

    @classmethod
    def of(cls, machine: MachineConfig, patches_gib: Callable[[], float], processes: int = 0) -> Sharing:
        """Share the cores among as many tasks as they and the memory allow, or among a given number.

        torch counts the cores: it follows `OMP_NUM_THREADS` and the cores that the process may use. A process has
        `machine.threads` threads, or the cores divided by the processes. A task on a GPU, or of several devices, has
        the machine for itself.

        Args:
            machine: Device and threads.
            patches_gib: Function that returns the memory of the patches of a task, in GiB.
            processes: Number of tasks at a time; 0 takes one for each core on a CPU, as far as the memory reaches.
        """
        alone = machine.threads or torch.get_num_threads()
        processes = processes or processes_at_once(machine, patches_gib)
        return cls(processes, machine.threads or max(1, alone // processes), alone)

    @classmethod
    def on(cls, data: Dataset, config: DataConfig, machine: MachineConfig, processes: int) -> Sharing:
        """Share the cores among tasks that open the data of a config; patches in memory stay in this process."""
        return cls.of(machine, lambda: preloaded_gib(data.source, config.preload_gib), processes if data.format else 1)

    def threads_for(self, tasks: int) -> int:
        """Return the number of threads of each of some tasks: fewer than the processes share all cores."""
        return max(self.threads, self.alone // tasks)

    def kept(self, file: Path) -> Sharing:
        """Take the threads that a file keeps, or write it: what is resumed on less memory ends with the same bytes.

        Raises:
            UserError: The file holds something else.
        """
        again = "remove it"
        if not file.exists():
            write_json(file, self.threads)
        threads = read_json(file, again)
        if type(threads) is not int or threads < 1:
            raise UserError(f"{file}: not a number of threads; {again}")
        if threads > self.threads:  # it began with fewer processes
            return replace(self, threads=threads, processes=max(1, self.processes * self.threads // threads))
        return replace(self, threads=threads)


def processes_at_once(machine: MachineConfig, patches_gib: Callable[[], float]) -> int:
    """Return how many processes this machine should run at a time, by its cores and its free memory."""
    cores = torch.get_num_threads()
    if machine.world_size > 1 or cores == 1 or prepare_device(machine).type != "cpu":
        return 1
    by_cores = cores // max(1, machine.threads)
    return max(1, int(min(by_cores, _free_gib() / (PROCESS_GIB + patches_gib()))))


class Crew:
    """Do groups of tasks, side by side if there are several processes, else one after the other in this process.

    The processes live as long as the `with` block, so that they open their data once.

    Args:
        sharing: Number of tasks at a time, and their threads.
        here: Makes the function that does a task in this process.
        there: Makes the same function in another process: a function of a module, with its arguments.
        listener: Receives the progress.
    """

    def __init__(self, sharing: Sharing, here: Prepare, there: partial[Work], listener: Listener) -> None:
        self._sharing, self._here, self._listener = sharing, here, listener
        again = "continue with --resume and"
        self._workers = Workers(sharing.processes, there, sharing.threads, listener, again=again)
        self._work: Work | None = None

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        self._workers.close()

    def do(self, title: str, tasks: Mapping[str, Any], keep: Callable[[str, Any], None], *, of: int) -> None:
        """Do all tasks of a group.

        Args:
            title: Name of the group for progress.
            tasks: Tasks by name, such as `candidate 3`.
            keep: Receives the name and the result of each task, in the order in which they end.
            of: Number of tasks of the whole group with those that an earlier call did; it sets the threads.
        """
        threads, count = self._sharing.threads_for(max(1, of)), min(self._sharing.processes, len(tasks))
        if count > 1:
            self._listener.start(f"{title}, {count} at a time", 1, len(tasks))
            try:
                self._side_by_side(tasks, threads, keep)
            finally:
                self._listener.end()
            return
        for name, task in tasks.items():
            if self._work is None:
                with _torch_threads(self._sharing.threads):
                    self._work = self._here()
            with _torch_threads(threads):
                keep(name, self._work(task, self._listener))

    def _side_by_side(self, tasks: Mapping[str, Any], threads: int, keep: Callable[[str, Any], None]) -> None:
        waiting, workers, done = list(tasks), self._workers, 0
        while waiting or workers.busy:
            for name in waiting[: workers.free]:
                waiting.remove(name)
                workers.give(name, tasks[name], threads)
            for one in workers.finished():
                keep(one.name, one.result)
                done += 1
                self._listener.step({})
                self._listener.note(f"{done} of {len(tasks)} done: {one.name}, {one.seconds:.1f} s")


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    """Let torch use a number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _free_gib() -> float:
    """Return the memory that is free, in GiB; infinite if the system does not tell."""
    if not MEMORY.exists():
        return float("inf")
    return int(MEMORY.read_text().split("MemAvailable:")[1].split()[0]) / 2**20
