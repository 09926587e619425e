"""Run the jobs of a study on Ray: one task for each job, started as soon as the jobs that it needs are done."""

from __future__ import annotations

import inspect
import secrets
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compactnas.distributed.ray_session import LOOK_EVERY_S, RayOptions, Share, raise_cause, session, task_options
from compactnas.errors import UserError
from compactnas.io.signals import interrupts
from compactnas.studies.config import StudyConfig
from compactnas.studies.jobs import StudyJob, expand, jobs_to_do
from compactnas.studies.ray.worker import APPEARS_WITHIN_S, Begun, Ended, Order, do_job, pack, unpack
from compactnas.studies.running import Say
from compactnas.training.runtime import Listener, Silent

CRASHES, DEATHS = 3, 10
"""Number of times that the process of a job, and its machine, may die before the study gives up."""


def run_study_on_ray(
    study: StudyConfig,
    root: Path,
    options: RayOptions,
    *,
    listener: Listener | None = None,
    say: Say = lambda line: None,
    tensorboard: bool = False,
) -> None:
    """Run the jobs of a study that are not done on the cores of this machine or on a cluster.

    A job whose process or machine dies is started again; in a shared folder it continues at its last whole epoch.

    Args:
        study: Study to run.
        root: Folder of the study. Workers that share it write into it; the others send their files back.
        options: Options of the cluster and of the resources of a job.
        listener: Receives the warnings.
        say: Function called with a line for each job that begins or ends.
        tensorboard: Whether each job also writes figures for TensorBoard into its folder.

    Raises:
        UserError: Ray is not installed, the cluster does not exist, no machine has room for a job, or a job fails; the
            other jobs are then cancelled.
    """
    jobs = expand(study)
    if all(job.done(root) for job in jobs):
        return
    root.mkdir(parents=True, exist_ok=True)
    with session(options, root / "ray.log") as ray, _token(root) as token:
        share = options.share(study.machine, ray.nodes())
        alone = not options.address  # a single machine sees its own folders and needs no copies
        _Board(ray, jobs, root.absolute(), token, share, alone, listener or Silent(), say, tensorboard).run()


@contextmanager
def _token(root: Path) -> Iterator[tuple[str, str]]:
    """Write a file that shows a worker whether it shares the folder."""
    name, content = f".driver-{secrets.token_hex(8)}", secrets.token_hex(16)
    (root / name).write_text(content, encoding="utf-8")
    try:
        yield name, content
    finally:
        (root / name).unlink(missing_ok=True)


@dataclass
class _Attempt:
    """A job on the cluster, and its latest state."""

    job: StudyJob
    inputs: list[Any]
    begun: Begun | None = None
    ended: Ended | None = None


class _Board:
    """Queue of waiting, running and finished jobs."""

    def __init__(
        self,
        ray: Any,
        jobs: Sequence[StudyJob],
        root: Path,
        token: tuple[str, str],
        share: Share,
        alone: bool,
        listener: Listener,
        say: Say,
        tensorboard: bool = False,
    ) -> None:
        self.ray, self.jobs, self.root, self.token, self.share = ray, jobs, root, token, share
        self.alone, self.listener, self.say, self.tensorboard = alone, listener, say, tensorboard
        self.waiting = jobs_to_do(jobs, root)
        self.running: dict[Any, _Attempt] = {}
        self.lost: Counter[tuple[str, bool]] = Counter()
        self.warned: set[str] = set()
        # Ray does not recognise a generator function below a decorator, such as the type checks of the tests.
        self.task = ray.remote(inspect.unwrap(do_job)).options(**task_options(share))

    def run(self) -> None:
        """Run jobs until all are done. If it ends early, no job is left running."""
        done = sum(job.done(self.root) for job in self.jobs)
        self.say(f"{len(self.jobs)} jobs, {done} done; {_machines(self.ray.nodes())}")
        try:
            with interrupts() as asked:
                while self.waiting or self.running:
                    self._begin()
                    ready, _ = self.ray.wait(list(self.running), num_returns=1, timeout=LOOK_EVERY_S)
                    for task in ready:
                        self._hear(task)
                    if asked():
                        raise KeyboardInterrupt
        finally:
            for task in self.running:
                self.ray.cancel(task, force=True)

    def _begin(self) -> None:
        """Submit every job whose needed jobs are done. Jobs that find no room wait in the cluster."""
        waiting, self.waiting = self.waiting, []
        for job in waiting:
            if not job.ready(self.root):
                self.waiting.append(job)
                continue
            inputs = [] if self.alone else [self.ray.put(self._inputs(job))]
            attempt = secrets.token_hex(8)
            order = Order(str(self.root), self.token, str(Path.cwd()), self.share.threads, attempt, self.tensorboard)
            self.running[self.task.remote(job, order, inputs)] = _Attempt(job, inputs)

    def _inputs(self, job: StudyJob) -> dict[str, bytes]:
        """Pack the files of the jobs that a job needs, and its own files so far."""
        files = pack(self.root, job.folder(self.root), checkpoints=True)
        for need in job.needs:
            files |= pack(self.root, need.folder(self.root))
        return files

    def _hear(self, task: Any) -> None:
        """Take the next message of a task."""
        attempt = self.running[task]
        try:
            message = self.ray.get(next(task))
        except StopIteration:
            del self.running[task]
            self._end(attempt)
        except self.ray.exceptions.RayTaskError as error:
            raise_cause(error)
        except self.ray.exceptions.RayError as error:
            del self.running[task]
            self._lose(attempt, error)
        else:
            if isinstance(message, Begun):
                attempt.begun = message
                self.say(f"begins: {attempt.job.name}, on {self._where(attempt)}")
            else:
                attempt.ended = message

    def _end(self, attempt: _Attempt) -> None:
        job, ended = attempt.job, attempt.ended
        assert ended is not None, job.name
        unpack(ended.files, self.root)
        end = time.monotonic() + APPEARS_WITHIN_S
        while not job.done(self.root):
            if time.monotonic() > end:
                where = self._where(attempt)
                raise UserError(
                    f"{job.folder(self.root)}: {where} has written its results, but they do not appear here; give the "
                    "same command again"
                )
            time.sleep(0.5)
        for text in ended.warnings:
            if text not in self.warned:
                self.warned.add(text)
                self.listener.warn(text)
        done = sum(other.done(self.root) for other in self.jobs)
        self.say(f"{done} of {len(self.jobs)} done: {job.name}, {ended.seconds:.1f} s on {self._where(attempt)}")

    def _lose(self, attempt: _Attempt, error: Exception) -> None:
        """Queue a job again after its process or machine has died; give up after too many deaths."""
        job, died = attempt.job, isinstance(error, self.ray.exceptions.NodeDiedError)
        what = "the machine has died" if died else " ".join(str(error).split())[:200] or type(error).__name__
        self.lost[job.key, died] += 1
        if self.lost[job.key, died] > (DEATHS if died else CRASHES):
            times, log = self.lost[job.key, died], job.folder(self.root) / "log.txt"
            raise UserError(
                f"{job.name}: lost {times} times, the last time on {self._where(attempt)} ({what}); see {log}"
            )
        self.say(f"lost: {job.name}, on {self._where(attempt)} ({what}); starting it again")
        self.waiting.insert(0, job)

    def _where(self, attempt: _Attempt) -> str:
        """Name the machine of an attempt, with the node if the machine holds several."""
        begun = attempt.begun
        if begun is None:
            return "a machine that had not started it"
        same = [node for node in self.ray.nodes() if node["NodeManagerHostname"] == begun.host]
        return f"{begun.host} ({begun.node[:8]})" if len(same) > 1 else begun.host


def _machines(nodes: Sequence[Mapping[str, Any]]) -> str:
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    cpus, gpus = (sum(room.get(kind, 0) for room in alive) for kind in ("CPU", "GPU"))
    return f"{len(alive)} machine{'s' * (len(alive) > 1)} with {cpus:g} CPUs and {gpus:g} GPUs"
