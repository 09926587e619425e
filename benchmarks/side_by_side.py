"""Jobs of a benchmark, some at the same time, each a process of its own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar


class Named(Protocol):
    """A job."""

    @property
    def name(self) -> str:
        """What is said of it."""


J = TypeVar("J", bound=Named)


def run_side_by_side(
    jobs: Iterable[J], ready: Callable[[J], bool], command: Callable[[J], Sequence[str]], at_once: int
) -> None:
    """Run all jobs, in their order as far as they are ready, and tell how each ended.

    Args:
        jobs: what is not done yet.
        ready: whether all is there that a job needs; asked until it is.
        command: of a job's process.
        at_once: how many run at the same time.
    """
    left, running = list(jobs), list[tuple[J, subprocess.Popen[bytes]]]()
    while left or running:
        for job, process in list(running):
            if process.poll() is not None:
                running.remove((job, process))
                print(f"{time.strftime('%H:%M:%S')} {job.name}: exit {process.returncode}", flush=True)
        for job in list(left):
            if len(running) < at_once and ready(job):
                left.remove(job)
                running.append((job, subprocess.Popen(command(job))))
        time.sleep(1)
