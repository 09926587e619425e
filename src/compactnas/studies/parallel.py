"""Run the jobs of a study side by side on this machine: a process for each job, of one thread on a CPU by default."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from dataclasses import dataclass, field
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from compactnas.data import open_dataset
from compactnas.data.opening import open_streamed
from compactnas.data.source import preloaded_gib
from compactnas.distributed.fresh_processes import fresh_processes
from compactnas.errors import UserError
from compactnas.studies.config import StudyConfig
from compactnas.studies.jobs import StudyJob, expand
from compactnas.studies.running import Say, run_job
from compactnas.training.runtime import Listener, Silent, prepare_device

MEMORY = Path("/proc/meminfo")
"""File in which Linux describes the memory of the machine."""
JOB_GIB = 1.0
"""Memory of a job's process besides its patches, in GiB: torch, and a small network in training."""


def jobs_at_once(study: StudyConfig) -> int:
    """Return how many jobs of a study this machine should run at a time.

    On a CPU, that is one for each core (for as many threads as `machine.threads` asks for), unless their patches do not
    fit into the free memory. torch counts the cores: it follows `OMP_NUM_THREADS` and the cores that the process may
    use. A job on a GPU, or of several devices, has the machine for itself.
    """
    machine = study.machine
    cores = torch.get_num_threads()
    if machine.world_size > 1 or cores == 1 or prepare_device(machine).type != "cpu":
        return 1
    by_cores = cores // max(1, machine.threads)
    return max(1, int(min(by_cores, _free_gib() / (JOB_GIB + _patches_gib(study)))))


def run_study_in_processes(
    study: StudyConfig,
    root: Path,
    processes: int,
    *,
    listener: Listener | None = None,
    say: Say = lambda line: None,
    tensorboard: bool = False,
) -> None:
    """Run the jobs of a study that are not done, several at a time, each as soon as the jobs that it needs are done.

    Args:
        study: Study to run.
        root: Folder of the study.
        processes: Number of jobs at a time. They share the cores, if `machine.threads` does not say otherwise.
        listener: Receives the warnings.
        say: Function called with a line for each job that begins or ends.
        tensorboard: Whether each job also writes figures for TensorBoard into its folder.

    Raises:
        UserError: A job fails, or its process was killed. The other jobs are then stopped; they can be continued.
    """
    jobs = expand(study)
    waiting = [job for job in jobs if not job.done(root)]
    threads = study.machine.threads or max(1, torch.get_num_threads() // processes)
    running: list[_Running] = []
    say(f"{len(jobs)} jobs, {len(jobs) - len(waiting)} done; {processes} at a time")
    try:
        while waiting or running:
            for job in [job for job in waiting if job.ready(root)][: processes - len(running)]:
                waiting.remove(job)
                running.append(_start(job, root, threads, tensorboard))
                say(f"begins: {job.name}")
            wait([one.messages for one in running])
            for one in [one for one in running if one.hear(listener or Silent())]:
                running.remove(one)
                done = sum(job.done(root) for job in jobs)
                say(f"{done} of {len(jobs)} done: {one.job.name}, {time.monotonic() - one.began:.1f} s")
    finally:
        for one in running:
            one.process.kill()  # a job that is killed can be continued
            one.process.join()


@dataclass(frozen=True)
class _Message:
    """What the process of a job tells: a warning, a user's mistake, or an error of the program."""

    warning: str = ""
    mistake: str = ""
    error: str = ""


@dataclass
class _Running:
    """A job in its process."""

    job: StudyJob
    process: BaseProcess
    messages: Connection
    began: float = field(default_factory=time.monotonic)

    def hear(self, listener: Listener) -> bool:
        """Take the messages that have come. Returns whether the job is done."""
        while self.messages.poll():
            try:
                message: _Message = self.messages.recv()
            except EOFError:
                self.process.join()
                if self.process.exitcode:
                    raise UserError(
                        f"{self.job.name}: its process ended with code {self.process.exitcode}, perhaps for lack of "
                        "memory; give the same command again with a smaller --processes"
                    ) from None
                return True
            if message.mistake:
                raise UserError(f"{self.job.name}: {message.mistake}")
            if message.error:
                raise RuntimeError(f"{self.job.name}:\n{message.error}")
            listener.warn(message.warning)
        return False


def _start(job: StudyJob, root: Path, threads: int, tensorboard: bool) -> _Running:
    context = fresh_processes(__name__)
    messages, told = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, root, threads, tensorboard, told))
    process.start()
    told.close()
    return _Running(job, process, messages)


def _work(job: StudyJob, root: Path, threads: int, tensorboard: bool, told: Connection) -> None:
    """Run one job in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one ends the others
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    try:
        run_job(job, root, _Telling(told), open_dataset(job.config.data), tensorboard=tensorboard)
    except UserError as error:
        told.send(_Message(mistake=str(error)))
    except Exception:  # noqa: BLE001  # raised again in the first process
        told.send(_Message(error=traceback.format_exc()))


def _end_with_parent() -> None:
    """End this process when the first one has been killed."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


class _Telling(Silent):
    """Listener that sends warnings to the first process."""

    def __init__(self, told: Connection) -> None:
        self._told = told

    def warn(self, text: str) -> None:
        """Send a warning."""
        self._told.send(_Message(warning=text))


def _free_gib() -> float:
    """Return the memory that is free, in GiB; infinite if the system does not tell."""
    if not MEMORY.exists():
        return float("inf")
    return int(MEMORY.read_text().split("MemAvailable:")[1].split()[0]) / 2**20


def _patches_gib(study: StudyConfig) -> float:
    """Return the memory that the patches of a job take, in GiB."""
    return preloaded_gib(open_streamed(study.data_of(study.tested[0])), study.data.preload_gib)
