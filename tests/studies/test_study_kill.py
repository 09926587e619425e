"""A study that is killed with -9 at any moment repeats no finished job and ends with the same tables."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from pathlib import Path

from support.forking import Forked, finish
from support.study_files import write_study

from compactnas.studies import expand, read_study

KILLS = 4
TABLES = ("tables.md", "tables.csv", "tables.tex")


def finished(root: Path, keys: set[str]) -> dict[str, list[tuple[str, int]]]:
    """Every file of each finished job with the moment at which it was written."""
    return {
        key: [
            (str(file.relative_to(root)), file.stat().st_mtime_ns) for file in sorted((root / "jobs" / key).rglob("*"))
        ]
        for key in keys
        if (root / "jobs" / key / "job.json").exists()
    }


def begun(root: Path) -> set[str]:
    """Jobs that have a folder."""
    return {folder.name for folder in (root / "jobs").glob("*")}


def test_a_study_killed_with_9_repeats_no_finished_job_and_ends_with_the_same_tables(tmp_path: Path) -> None:
    file = write_study(tmp_path, methods=["S+C+D"], splits=["official"], retrainings=1)
    keys = {job.key for job in expand(read_study(file))}

    def command(out: str) -> list[str]:
        return ["-m", "compactnas", "study", str(file), "--output", str(tmp_path / out)]

    finish(command("whole"))
    moments = random.Random(5)
    done: dict[str, list[tuple[str, int]]] = {}
    killed = 0
    for _ in range(KILLS):
        before = begun(tmp_path / "cut")
        process = Forked(command("cut"))
        while process.poll() is None and begun(tmp_path / "cut") == before:  # a slow machine takes its time
            time.sleep(0.02)
        try:
            process.wait(moments.uniform(0, 0.7))
        except subprocess.TimeoutExpired:
            process.kill()
            assert process.wait() == -signal.SIGKILL
            killed += 1
        now = finished(tmp_path / "cut", keys)
        assert done.items() <= now.items(), "a finished job was written to again"
        done = now
    finish(command("cut"))
    now = finished(tmp_path / "cut", keys)
    assert done.items() <= now.items() and now.keys() == keys
    assert done and killed >= 2, "too few kills fell inside the study"
    for name in TABLES:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
