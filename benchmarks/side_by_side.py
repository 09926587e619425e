"""Run the jobs of a benchmark in parallel, one process each; and the options that such benchmarks share."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar


class Named(Protocol):
    """A job with a name."""

    @property
    def name(self) -> str:
        """Name of the job in messages."""


J = TypeVar("J", bound=Named)


def folder_name(text: str) -> str:
    """Turn a job's name into a folder name for any system: `8 %, seed 0` becomes `8_percent_seed_0`."""
    return re.sub(r"[^\w-]+", "_", text.replace("%", "percent"))


def run_side_by_side(
    jobs: Iterable[J], ready: Callable[[J], bool], command: Callable[[J], Sequence[str]], at_once: int
) -> None:
    """Run all jobs in order, each as soon as it is ready, and print how each one ended.

    Args:
        jobs: Jobs that are not finished.
        ready: Function that checks whether a job can start; called until it can.
        command: Function that gives the command line of a job.
        at_once: Number of jobs that run at the same time.
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


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a benchmark on EuroSAT whose jobs are run folders."""
    parser.add_argument("--data", type=Path, required=True, help="folder that scripts/eurosat_folder.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs, outside the checkout")
    parser.add_argument("--at-once", type=int, default=2, help="number of jobs at the same time, one thread each")
    parser.add_argument("--job", help="run only this job, in this process")
    parser.add_argument("--table", action="store_true", help="only print the table of the finished jobs")
    parser.add_argument("--json", type=Path, help="write the figures to this JSON file")


def do_as_asked(
    options: argparse.Namespace,
    jobs: Iterable[J],
    work: Callable[[J], None],
    run_all: Callable[[], None],
    results: Callable[[], Any],
    table: Callable[[Any], str],
) -> None:
    """Follow the options: run one job, or all unfinished jobs and print the table, or only print the table."""
    if options.job:
        work(next(job for job in jobs if job.name == options.job))
        return
    if not options.table:
        run_all()
    found = results()
    print(table(found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
