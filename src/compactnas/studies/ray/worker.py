"""Run one job of a study on a machine of a cluster, and own its folder and its log meanwhile."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from compactnas.data import open_dataset
from compactnas.errors import UserError
from compactnas.io.atomic import write_bytes
from compactnas.reporting.progress import describe
from compactnas.runs.checkpoints import PATTERN
from compactnas.runs.folder import run_writer
from compactnas.studies.jobs import LAST, StudyJob
from compactnas.studies.running import run_job
from compactnas.training.runtime import Listener
from compactnas.version import __version__

Files = dict[str, bytes]
"""Path below the study's folder -> content."""

LOG, OWNER = "log.txt", ".owner"
CHECK_EVERY_S = 5.0
"""Seconds between checks that a job still owns its folder."""

STOPS_WITHIN_S = 120.0
"""Longest time in seconds that an attempt waits for the one that it replaces."""

APPEARS_WITHIN_S = 60.0
"""Longest time in seconds that a network file system may take to show files of another machine."""


@dataclass(frozen=True)
class Order:
    """Order to a worker: everything that it needs besides the job.

    Attributes:
        root: Path of the study's folder on the machine that sends the order.
        token: Name and content of a file in that folder; a worker that can read it shares the folder.
        directory: Folder that relative paths start from.
        threads: Number of threads of the job.
        attempt: Random name of this attempt at the job.
        tensorboard: Whether the job also writes figures for TensorBoard.
        version: Version of compactnas that sends the order.
    """

    root: str
    token: tuple[str, str]
    directory: str
    threads: int
    attempt: str
    tensorboard: bool = False
    version: str = __version__

    def shared(self) -> bool:
        """Check whether this machine shares the study's folder."""
        name, content = self.token
        try:
            return (Path(self.root) / name).read_text(encoding="utf-8") == content
        except (OSError, UnicodeDecodeError):
            return False


@dataclass(frozen=True)
class Begun:
    """Message that a job begins on a machine."""

    host: str
    node: str


@dataclass(frozen=True)
class Ended:
    """Message that a job is done, with the files that the study's folder does not have yet."""

    seconds: float
    warnings: tuple[str, ...]
    files: Files


def do_job(job: StudyJob, order: Order, inputs: list[Any]) -> Iterator[Begun | Ended]:
    """Run one job as a Ray task, which yields a message when it begins and when it is done.

    Args:
        job: Job to run.
        order: Everything else that the job needs.
        inputs: References to `Files`, fetched only if the study's folder is not shared.

    Raises:
        UserError: The job fails; the message names the machine.
    """
    import ray  # a task runs inside Ray, so it is installed

    began, host = time.monotonic(), socket.gethostname()
    shared = order.shared()
    yield Begun(host, ray.get_runtime_context().get_node_id())
    with contextlib.ExitStack() as stack:
        if shared:
            root = Path(order.root)
            _await(job, root)
        else:
            root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="compactnas-")))
            for reference in inputs:
                unpack(ray.get(reference), root)
        log = stack.enter_context(Log(job.folder(root), order.attempt, host))
        try:  # the attempt that this one replaces stops soon after it has read the new owner
            stack.enter_context(run_writer(job.folder(root), wait_s=STOPS_WITHIN_S))
        except UserError as error:
            raise UserError(f"{job.name} on {host}: {error}") from None
        try:
            _do(job, order, root, log)
        except UserError as error:
            raise UserError(f"{job.name} on {host}: {error}") from None
        files = {} if shared else pack(root, job.folder(root))
    yield Ended(time.monotonic() - began, tuple(log.warnings), files)


def _do(job: StudyJob, order: Order, root: Path, log: Log) -> None:
    import torch

    if order.version != __version__:
        raise UserError(
            f"compactnas {__version__} is installed here, but the study needs {order.version}; install that version"
        )
    torch.set_num_threads(order.threads)
    with contextlib.suppress(OSError):
        os.chdir(order.directory)
    path = Path(job.config.data.path)
    if not path.is_absolute() and not path.exists():
        raise UserError(f"data.path: {path} is not in {Path.cwd()}; give a path that is the same on every machine")
    run_job(job, root, log, open_dataset(job.config.data), tensorboard=order.tensorboard)


def _await(job: StudyJob, root: Path) -> None:
    """Wait until the results of the needed jobs appear on this machine."""
    end = time.monotonic() + APPEARS_WITHIN_S
    while not job.ready(root) and time.monotonic() < end:
        time.sleep(0.5)


class Log(Listener):
    """A listener that writes the job's log, and stops the job when its folder belongs to another attempt.

    A machine that has lost the cluster continues its job for a while after another machine has taken over. Both write
    complete files, which are identical on the same kind of processor. It is therefore enough that the first one stops
    soon after the second one has begun.
    """

    def __init__(self, folder: Path, attempt: str, host: str) -> None:
        self.warnings: list[str] = []
        self._folder, self._attempt, self._host = folder, attempt, host
        self._stage, self._epochs, self._looked = "", 0, time.monotonic()

    def __enter__(self) -> Log:
        write_bytes(self._folder / OWNER, self._attempt.encode())
        self._write("begins")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UserError):
            self._write(f"error: {error}")
        elif error is not None:
            self._write("fails\n" + "".join(traceback.format_exception(error)))
        else:
            self._write("done")
        if self._owns():
            (self._folder / OWNER).unlink(missing_ok=True)

    def start(self, stage: str, epochs: int, steps: int, done: int = 0) -> None:
        """Log that a stage begins."""
        self._stage, self._epochs = stage, epochs
        self._write(f"{stage}: {epochs} epochs of {steps} steps" + f", {done} done" * bool(done))

    def step(self, metrics: dict[str, float]) -> None:
        """Check every few seconds that the job still owns its folder."""
        if time.monotonic() - self._looked >= CHECK_EVERY_S:
            self._looked = time.monotonic()
            if not self._owns():
                raise UserError("another process now runs this job in the same folder; let only one of them finish it")

    def epoch(self, metrics: Mapping[str, Any]) -> None:
        """Log the figures of an epoch."""
        self._write(f"{self._stage} epoch {metrics.get('epoch')}/{self._epochs}: {describe(metrics)}")

    def warn(self, text: str) -> None:
        """Log a warning, and keep it for the end of the job."""
        self.warnings.append(text)
        self._write(f"warning: {text}")

    def note(self, text: str) -> None:
        """Log that a part of a stage is done."""
        self._write(f"{self._stage}: {text}")

    def end(self) -> None:
        """Ignore the end of a stage."""

    def _owns(self) -> bool:
        try:
            return (self._folder / OWNER).read_bytes() == self._attempt.encode()
        except OSError:  # the file system may be away for a moment
            return True

    def _write(self, text: str) -> None:
        with (self._folder / LOG).open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {self._host}: {text}\n")


def pack(root: Path, folder: Path, *, checkpoints: bool = False) -> Files:
    """Read the files below a folder, named from the root; checkpoints only if asked, to continue a job."""
    return {
        file.relative_to(root).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.name.startswith(".") and (checkpoints or not file.match(PATTERN))
    }


def unpack(files: Files, root: Path) -> None:
    """Write packed files, each whole or not at all. The file that marks a job as done comes last."""
    for name in sorted(files, key=lambda name: PurePosixPath(name).name == LAST):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise UserError(f"a worker sent the file {name[:100]!r}, which lies outside the study; start its job again")
        write_bytes(root / path, files[name])
