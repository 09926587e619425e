"""Compute the blocks of a map on Ray: each task computes a few blocks and returns their probabilities.

Every machine needs the model and the scenes at the same path, as on a shared disk, but not the folder of the map.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from compactnas.config import MachineConfig
from compactnas.distributed.ray_session import LOOK_EVERY_S, RayOptions, raise_cause, session, task_options
from compactnas.io.signals import interrupts
from compactnas.mapping.block_store import Numbers
from compactnas.mapping.executor import Executor, MapPlan, plan_map
from compactnas.mapping.executors.local import run_locally
from compactnas.mapping.job import MapJob, Warn

BLOCKS = 4
"""Number of blocks of a task, so that opening the model and the scenes is a small part of its time."""
TRIES = 3
"""Largest number of times that Ray restarts a task after its process or machine died."""

Judged = tuple[list[tuple[int, Numbers]], list[str]]
"""Block numbers with their probabilities, and warnings."""


def ray_executor(address: str, threads: int) -> Executor:
    """Make an executor that computes blocks on Ray.

    Args:
        address: Address of a cluster, `HOST:PORT` or `auto`; empty starts Ray on this machine.
        threads: Number of threads of a task.
    """

    def executor(plan: MapPlan, numbers: Sequence[int], warn: Warn) -> Generator[tuple[int, Numbers], None, None]:
        if not numbers:
            return
        waiting = [tuple(numbers[start : start + BLOCKS]) for start in range(0, len(numbers), BLOCKS)][::-1]
        options, job, said = RayOptions(address), _absolute(plan.job, threads), set[str]()
        with (
            tempfile.TemporaryDirectory() as log,
            session(options, Path(log) / "ray.log") as ray,
            interrupts() as asked,
        ):
            share = options.share(MachineConfig(device="cpu", threads=threads), ray.nodes())
            task = ray.remote(judge).options(**task_options(share) | {"num_returns": 1, "max_retries": TRIES})
            side_by_side = 2 * max(1, int(ray.cluster_resources().get("CPU", 1) // share.cpus))
            running: set[Any] = set()
            try:
                while waiting or running:
                    while waiting and len(running) < side_by_side:
                        running.add(task.remote(job, waiting.pop()))
                    ready, _ = ray.wait(list(running), num_returns=1, timeout=LOOK_EVERY_S)
                    if asked():
                        raise KeyboardInterrupt
                    for done in ready:
                        running.remove(done)
                        found, warnings = _result(ray, done)
                        for text in warnings:
                            if text not in said:
                                warn(text)
                        said.update(warnings)
                        yield from found
            finally:
                for left in running:
                    ray.cancel(left, force=True)

    return executor


def judge(job: MapJob, numbers: tuple[int, ...]) -> Judged:
    """Compute the blocks with these numbers."""
    warnings: list[str] = []
    return [*run_locally(_plan(job), numbers, warnings.append)], warnings


_plan = lru_cache(maxsize=1)(plan_map)
"""Cached plan, so that a process opens the model once for all its tasks of a map."""


def _absolute(job: MapJob, threads: int) -> MapJob:
    readings = tuple(
        replace(reading, mask=str(Path(reading.mask).absolute()) if reading.mask else "") for reading in job.readings
    )
    scenes = tuple(path.absolute() for path in job.scenes)
    return replace(job, model=job.model.absolute(), threads=threads, scenes=scenes, readings=readings)


def _result(ray: Any, task: Any) -> Judged:
    try:
        found: Judged = ray.get(task)
    except ray.exceptions.RayTaskError as error:
        raise_cause(error)
    return found
