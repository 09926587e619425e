"""Processes on this machine that each do one task at a time, and end with the process that started them."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from compactnas.distributed.fresh_processes import fresh_processes
from compactnas.errors import UserError
from compactnas.training.runtime import Listener, Silent

Work = Callable[[Any, Listener], Any]
"""Function that does a task. In another process, the task comes and the result returns by pickle."""
Prepare = Callable[[], Work]
"""Function that makes such a function, once in each process: it opens what all tasks need."""

ENDS_WITHIN_S = 10.0
"""Seconds to wait for the process of a task whose first process was killed: it ends when it notices."""


@dataclass(frozen=True)
class Finished:
    """A task that has ended.

    Attributes:
        name: Name of the task.
        result: Result of the task.
        seconds: Wall time of the task.
    """

    name: str
    result: Any
    seconds: float


@dataclass
class _Worker:
    """A process, and the task that it does."""

    process: BaseProcess
    link: Connection
    name: str = ""
    began: float = 0.0


class Workers:
    """Processes that start when there are tasks for them.

    Args:
        count: Largest number of processes.
        prepare: Makes the function that does a task, once in each process: a function of a module, with its arguments.
        threads: Number of threads while it does.
        listener: Receives the warnings.
        again: What to do after the loss of a process, for its message.
        once: Whether a process ends after one task, because it does not give back memory.
    """

    def __init__(
        self,
        count: int,
        prepare: partial[Work],
        threads: int,
        listener: Listener,
        *,
        again: str,
        once: bool = False,
    ) -> None:
        self._count, self._prepare, self._threads = count, prepare, threads
        self._listener, self._again, self._once = listener, again, once
        self._busy: list[_Worker] = []
        self._idle: list[_Worker] = []

    @property
    def busy(self) -> int:
        """Number of processes that have a task."""
        return len(self._busy)

    @property
    def free(self) -> int:
        """Number of tasks that can be given now."""
        return self._count - self.busy

    def give(self, name: str, task: Any, threads: int) -> None:
        """Give a task to a free process.

        Args:
            name: Name of the task for messages.
            task: Task.
            threads: Number of threads that do it.
        """
        worker = self._idle.pop() if self._idle else self._start()
        self._busy.append(worker)
        worker.name, worker.began = name, time.monotonic()
        with suppress(OSError):  # it was killed meanwhile: `finished` says so
            worker.link.send((task, threads))

    def finished(self) -> list[Finished]:
        """Wait for messages, and return the tasks that have ended, perhaps none.

        Raises:
            UserError: A task fails by a user's mistake, or its process was killed.
            RuntimeError: A task fails by an error of the program.
        """
        wait([worker.link for worker in self._busy])
        found = []
        for worker in list(self._busy):
            one = self._hear(worker)
            if one is not None:
                found.append(one)
                self._busy.remove(worker)
                if self._once:
                    worker.link.close()
                    worker.process.join()
                else:
                    self._idle.append(worker)
        return found

    def close(self) -> None:
        """End all processes, even those with a task: what is killed can be continued."""
        for worker in (*self._busy, *self._idle):
            worker.process.kill()
            worker.process.join()
            worker.link.close()
        self._busy, self._idle = [], []

    def _start(self) -> _Worker:
        context = fresh_processes(self._prepare.func.__module__, "lightning_fabric")
        link, far = context.Pipe()
        process = context.Process(target=_serve, args=(self._prepare, self._threads, far))
        process.start()
        far.close()
        return _Worker(process, link)

    def _hear(self, worker: _Worker) -> Finished | None:
        """Take the messages that have come from a process."""
        while worker.link.poll():
            try:
                kind, content = worker.link.recv()
            except (EOFError, ConnectionError):
                worker.process.join()
                raise UserError(
                    f"{worker.name}: its process ended with code {worker.process.exitcode}, perhaps for lack of "
                    f"memory; {self._again} with a smaller --processes"
                ) from None
            if kind == "result":
                return Finished(worker.name, content, time.monotonic() - worker.began)
            named = content if content.startswith(worker.name) else f"{worker.name}: {content}"
            if kind == "mistake":
                raise UserError(named)
            if kind == "error":
                raise RuntimeError(f"{worker.name}:\n{content}")
            self._listener.warn(content)
        return None


def _serve(prepare: Prepare, threads: int, link: Connection) -> None:
    """Do tasks in a process of its own, until the first process has no more of them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one ends the others
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    listener = _Telling(link)
    work: Work | None = None
    try:
        for task, own_threads in _tasks(link):
            work = work or prepare()
            torch.set_num_threads(own_threads)
            link.send(("result", work(task, listener)))
    except UserError as error:
        link.send(("mistake", str(error)))
    except Exception:  # noqa: BLE001  # raised again in the first process
        link.send(("error", traceback.format_exc()))


def _tasks(link: Connection) -> Iterator[tuple[Any, int]]:
    """Yield each task and its threads."""
    with suppress(EOFError):
        while True:
            yield link.recv()


def _end_with_parent() -> None:
    """End this process when the first one has been killed."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


class _Telling(Silent):
    """Listener that sends warnings to the first process."""

    def __init__(self, link: Connection) -> None:
        self._link = link

    def warn(self, text: str) -> None:
        """Send a warning."""
        self._link.send(("warning", text))
