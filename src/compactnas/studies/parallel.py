"""Run the jobs of a study side by side on this machine: a process for each job, of one thread on a CPU by default."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from compactnas.data import open_dataset
from compactnas.data.opening import open_streamed
from compactnas.data.source import preloaded_gib
from compactnas.studies.config import StudyConfig
from compactnas.studies.jobs import StudyJob, expand, jobs_to_do
from compactnas.studies.running import Say, run_job
from compactnas.training.runtime import Listener, Silent
from compactnas.training.side_by_side import Sharing, processes_at_once
from compactnas.training.workers import Work, Workers


def jobs_at_once(study: StudyConfig) -> int:
    """Return how many jobs of a study this machine should run at a time.

    On a CPU, that is one for each core (for as many threads as `machine.threads` asks for), unless their patches do not
    fit into the free memory. A job on a GPU, or of several devices, has the machine for itself.
    """
    return processes_at_once(study.machine, partial(_patches_gib, study))


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
    waiting = jobs_to_do(jobs, root)
    threads = Sharing.of(study.machine, partial(_patches_gib, study), processes).threads
    workers = Workers(
        processes,
        partial(_job_runner, root, tensorboard),
        threads,
        listener or Silent(),
        again="give the same command again",
        once=True,
    )
    say(f"{len(jobs)} jobs, {sum(job.done(root) for job in jobs)} done; {processes} at a time")
    try:
        while waiting or workers.busy:
            for job in [job for job in waiting if job.ready(root)][: workers.free]:
                waiting.remove(job)
                workers.give(job.name, job, threads)
                say(f"begins: {job.name}")
            for one in workers.finished():
                done = sum(job.done(root) for job in jobs)
                say(f"{done} of {len(jobs)} done: {one.name}, {one.seconds:.1f} s")
    finally:
        workers.close()


def _job_runner(root: Path, tensorboard: bool) -> Work:
    def run(job: StudyJob, listener: Listener) -> None:
        run_job(job, root, listener, open_dataset(job.config.data), tensorboard=tensorboard)

    return run


def _patches_gib(study: StudyConfig) -> float:
    """Return the memory that the patches of a job take, in GiB."""
    return preloaded_gib(open_streamed(study.data_of(study.tested[0])), study.data.preload_gib)
