"""Jobs side by side on this machine: the bytes of one after the other, and one line for what goes wrong."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from support.forking import Forked
from support.study_files import write_study

from compactnas.cli import main
from compactnas.errors import UserError
from compactnas.runs.checkpoints import PATTERN
from compactnas.studies import expand, jobs_at_once, read_study, run_study_in_processes
from compactnas.training import side_by_side, workers

FEW: dict[str, Any] = {
    "splits": ["official"],
    "methods": ["S+C+D"],
    "retrainings": 1,
    "random_search": False,
    "search": {"epochs": 4, "batch_size": 16},
}
"""Two searches, a baseline, the found network and a random one: five jobs."""
TWO = ["--processes", "2"]


def results(root: Path) -> dict[str, bytes]:
    """Every file of a study but wall times, locks and checkpoints."""
    files = [*root.glob("tables.*"), *(root / "jobs").rglob("*")]
    kept = [f for f in files if f.is_file() and f.name not in ("seconds.json", ".writer") and not f.match(PATTERN)]
    return {str(file.relative_to(root)): file.read_bytes() for file in kept}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the study one job after the other; its file lies beside its folder."""
    where = tmp_path_factory.mktemp("alone")
    assert main(["study", str(write_study(where, **FEW)), "--output", str(where / "one"), "--processes", "1"]) == 0
    return where / "one"


def test_two_at_a_time_end_with_the_same_bytes(alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = alone.with_name("two")
    assert main(["study", str(alone.parent / "study.yaml"), "--output", str(root), *TWO]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "5 jobs, 0 done; 2 at a time"
    assert [line.split(":")[0] for line in said[1:3]] == ["begins"] * 2
    assert re.match(r"[12] of 5 done: ", said[3])  # both searches may have ended by then
    assert sum(bool(re.match(r"[1-5] of 5 done: .*, \d+\.\d s$", line)) for line in said) == 5
    expected, found = results(alone), results(root)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []


def processes(session: int) -> list[int]:
    """List the processes of a session that still run. Reading `/proc` is quicker than the jobs."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            state, _, _, its_session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            found += [int(folder.name)] * (int(its_session) == session and state not in "ZX")
    return found


def wait_for_two_jobs(root: Path) -> None:
    """Wait until two jobs of a study work."""
    until = time.monotonic() + 60
    while len(list(root.glob("jobs/*/config.yaml"))) < 2 and time.monotonic() < until:
        time.sleep(0.005)


def test_killed_with_9_its_jobs_end_too_and_it_goes_on_to_the_same_bytes(alone: Path) -> None:
    root = alone.with_name("killed")
    study = Forked(["-m", "compactnas", "study", alone.parent / "study.yaml", "--output", root, *TWO])
    wait_for_two_jobs(root)
    assert len(processes(study.pid)) >= 4  # the study, the server that forks, and two jobs
    study.send_signal(signal.SIGKILL)
    assert study.wait(60) == -signal.SIGKILL
    until = time.monotonic() + 20
    while processes(study.pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not processes(study.pid)
    assert len(list(root.glob("jobs/*/job.json"))) < 2, "the jobs went on to their end"
    assert main(["study", str(alone.parent / "study.yaml"), "--output", str(root), "--processes", "1"]) == 0
    assert results(root) == results(alone)


def interrupted(
    where: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[BaseProcess], object]
) -> tuple[int, list[BaseProcess]]:
    """Run a long study here, and do something as soon as two jobs work.

    Returns:
        The exit code, and the processes of the jobs.
    """
    file = write_study(where, **FEW | {"search": {"epochs": 500, "batch_size": 16}})
    root, wait, jobs, before = where / "out", workers.wait, list[BaseProcess](), active_children()

    def waiting(messages: Any) -> Any:
        if not jobs:
            jobs.extend(child for child in active_children() if child not in before)
            wait_for_two_jobs(root)
            act(jobs[0])
        return wait(messages)

    monkeypatch.setattr(workers, "wait", waiting)
    return main(["study", str(file), "--output", str(root), *TWO]), jobs


def test_ctrl_c_ends_the_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
    try:
        code, jobs = interrupted(tmp_path, monkeypatch, lambda _: signal.raise_signal(signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    told = capsys.readouterr().err
    assert (code, told) == (130, "compactnas: interrupted; give the same command again to continue\n")
    assert [job.exitcode for job in jobs] == [-signal.SIGKILL] * 2


def test_a_job_that_is_killed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, jobs = interrupted(tmp_path, monkeypatch, lambda job: job.kill())
    assert code == 2 and re.fullmatch(
        r"compactnas: error: search S\+C\+D, seed [01]: its process ended with code -9, perhaps for lack of memory; "
        r"give the same command again with a smaller --processes\n",
        capsys.readouterr().err,
    )
    assert [job.exitcode for job in jobs] == [-signal.SIGKILL] * 2


def test_a_users_mistake_in_a_job_is_one_line(tmp_path: Path) -> None:
    file = write_study(tmp_path, **FEW)
    study, said = read_study(file), []
    (tmp_path / "patches.npz").unlink()
    with pytest.raises(UserError, match=r"^search S\+C\+D, seed [01]: .*patches\.npz"):
        run_study_in_processes(study, tmp_path / "out", 2, say=said.append)
    assert said[1:] == [f"begins: {job.name}" for job in expand(study)[:2]]


def test_as_many_as_cores_and_memory_allow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = read_study(write_study(tmp_path, **FEW, machine={"device": "cpu"}))
    two_threads = read_study(write_study(tmp_path, **FEW, machine={"device": "cpu", "threads": 2}))
    assert jobs_at_once(study) == torch.get_num_threads() == 1
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    memory = tmp_path / "meminfo"
    monkeypatch.setattr(side_by_side, "MEMORY", memory)
    assert jobs_at_once(study) == 8  # a system that does not tell its memory
    for gib, jobs in ((100, 8), (5.5, 5), (0.2, 1)):
        memory.write_text(f"MemTotal: 1 kB\nMemAvailable:  {int(gib * 2**20)} kB\n")
        assert jobs_at_once(study) == jobs
    memory.write_text(f"MemAvailable: {100 * 2**20} kB\n")
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    assert jobs_at_once(two_threads) == 4


@pytest.mark.parametrize(
    ("words", "said"), [(["--processes", "-1"], "negative"), ([*TWO, "--ray"], "Ray shares out the jobs itself")]
)
def test_what_makes_no_sense_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["study", str(write_study(tmp_path, **FEW)), "--output", str(tmp_path / "out"), *words]) == 2
    assert said in capsys.readouterr().err
