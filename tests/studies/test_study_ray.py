"""A study on Ray: the bytes of a run in one process, also when a machine dies, and one line for what goes wrong."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.study_files import write_study

from compactnas.cli import main
from compactnas.distributed.ray_session import RayOptions
from compactnas.runs.checkpoints import PATTERN
from compactnas.studies import expand, read_study
from compactnas.studies.ray import cluster as on_ray
from compactnas.studies.ray.worker import LOG, OWNER

ray: Any = pytest.importorskip("ray", reason="Ray is not installed; `pip install 'compactnas[cluster]'`")

FEW = {
    "splits": ["official"],
    "methods": ["S+C+D"],
    "retrainings": 1,
    "random_search": False,
    "search": {"epochs": 4, "batch_size": 16, "alpha_learning_rate": 0.05},
}
"""Two searches, a baseline, the found network and a random one: five jobs."""

OTHERWISE = ("seconds.json", LOG, "data_fingerprint.json")
"""What differs between two runs: when it was, how long it took, and where the data lies as seen from the folder."""

# Ray takes 127.0.0.1 for the machine's address in the network; this one stays on the machine.
HOST = "127.0.0.2"
QUICK_TO_NOTICE = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 500,
    "health_check_failure_threshold": 3,
}


def write_few(where: Path, **changes: object) -> Path:
    return write_study(where, **FEW | changes)


def results(root: Path) -> dict[str, bytes]:
    """Every file of a study that must not depend on where it ran, nor on what was cut off meanwhile."""
    files = [*root.glob("tables.*"), *(root / "jobs").rglob("*")]
    kept = [
        file
        for file in files
        if file.is_file() and not (file.name.startswith(".") or file.name in OTHERWISE or file.match(PATTERN))
    ]
    return {str(file.relative_to(root)): file.read_bytes() for file in kept}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study in this process; the file lies beside its folder."""
    where = tmp_path_factory.mktemp("alone")
    assert main(["study", str(write_few(where)), "--output", str(where / "out")]) == 0
    return where / "out"


def with_done(alone: Path, root: Path, *left: str) -> Path:
    """A study's folder in which all jobs are done but those whose names begin with one of these words."""
    for job in expand(read_study(alone.parent / "study.yaml")):
        if not job.name.startswith(left):
            shutil.copytree(job.folder(alone), job.folder(root))
    return root


@dataclass
class Machines:
    """Two raylets on this machine, of one CPU each."""

    address: str
    second: Any

    def kill_second(self) -> None:
        """End the second one and the processes of its jobs with -9."""
        raylet = self.second.all_processes["raylet"][0].process.pid
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(raylet)], capture_output=True, text=True)
        for pid in (raylet, *map(int, children.stdout.split())):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # short, for the paths of sockets
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")
        here = {"node_ip_address": HOST, "include_dashboard": False, "num_cpus": 1}
        cluster = Cluster(initialize_head=True, head_node_args={**here, "_system_config": QUICK_TO_NOTICE})
        try:
            yield Machines(cluster.address, cluster.add_node(**here))
        finally:
            cluster.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


def test_two_machines_end_with_the_same_bytes(
    alone: Path, machines: Machines, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(alone.parent / "study.yaml")
    assert main(["study", file, "--output", str(tmp_path), "--ray-address", machines.address]) == 0
    said = capsys.readouterr()
    assert said.err == "warning: data.validation_fraction has no effect: patches has a validation part of 12 patches\n"
    assert "5 jobs, 0 done; 2 machines with 2 CPUs and 0 GPUs\n" in said.out
    begun = re.findall(r"^begins: (.*), on (.*)$", said.out, flags=re.MULTILINE)
    assert len(begun) == 5 and len({machine for _, machine in begun}) == 2
    assert re.search(r"^5 of 5 done: .*, \d+\.\d s on ", said.out, flags=re.MULTILINE)
    expected, found = results(alone), results(tmp_path)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
    for job in expand(read_study(Path(file))):
        log = (job.folder(tmp_path) / LOG).read_text()
        assert "epoch 1/" in log and log.endswith("done\n")
        assert not (job.folder(tmp_path) / OWNER).exists()
    assert not list(tmp_path.glob(".driver-*"))


def test_machines_without_the_folder_send_their_files_back(
    alone: Path, machines: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = read_study(alone.parent / "study.yaml")

    @contextmanager
    def elsewhere(root: Path) -> Iterator[tuple[str, str]]:
        yield ".driver-elsewhere", "what no machine finds"

    monkeypatch.setattr(on_ray, "_token", elsewhere)
    with_done(alone, tmp_path, "search S+C+D, seed 0", "train S+C+D")
    on_ray.run_study_on_ray(study, tmp_path, RayOptions(machines.address))
    assert main(["study", str(alone.parent / "study.yaml"), "--output", str(tmp_path)]) == 0
    assert results(tmp_path) == results(alone)


def test_a_users_mistake_in_a_job_is_one_line_that_names_the_machine(
    machines: Machines, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_few(tmp_path)
    (tmp_path / "patches.npz").unlink()
    assert main(["study", str(file), "--output", str(tmp_path / "out"), "--ray-address", machines.address]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and said.startswith("compactnas: error: ")
    assert f" on {os.uname().nodename}: " in said and "patches.npz" in said


def test_a_machine_that_is_killed_costs_only_its_jobs(alone: Path, machines: Machines, tmp_path: Path) -> None:
    """The last one to use the two machines."""
    study, said, killed = read_study(alone.parent / "study.yaml"), [], threading.Event()
    second = machines.second.node_id[:8]
    with_done(alone, tmp_path, "search")
    jobs = {job.name: job for job in expand(study)}

    def kill_after_an_epoch(name: str) -> None:
        log = jobs[name].folder(tmp_path) / LOG
        while not (log.exists() and "epoch 1/" in log.read_text()):
            time.sleep(0.01)
        machines.kill_second()
        killed.set()

    def say(line: str) -> None:
        said.append(line)
        begun = re.match(r"begins: (search .*), on .*\((.*)\)", line)
        if begun and begun[2] == second:
            threading.Thread(target=kill_after_an_epoch, args=(begun[1],)).start()

    on_ray.run_study_on_ray(study, tmp_path, RayOptions(machines.address), say=say)
    assert killed.is_set()
    lost = [line for line in said if line.startswith("lost: ")]
    assert lost and f"({second})" in lost[0] and "the machine has died" in lost[0]
    name = lost[0].removeprefix("lost: ").split(", on ")[0]
    assert re.search(r"epochs of 2 steps, [1-3] done", (jobs[name].folder(tmp_path) / LOG).read_text())
    assert main(["study", str(alone.parent / "study.yaml"), "--output", str(tmp_path)]) == 0
    assert results(tmp_path) == results(alone)


def processes_of(session: int) -> str:
    return subprocess.run(["ps", "-o", "args=", "-s", str(session)], capture_output=True, text=True).stdout


def test_ctrl_c_ends_everything_and_the_study_goes_on(alone: Path, tmp_path: Path) -> None:
    """By the command that starts a Ray of its own, in a session of its own, so that whatever is left can be found."""
    file, root = alone.parent / "study.yaml", tmp_path / "out"
    with_done(alone, root, "search", "train S+C+D")  # the training begins after both searches
    with (
        tempfile.TemporaryDirectory(prefix="tmp-", dir="/tmp") as short,
        subprocess.Popen(
            [sys.executable, "-m", "compactnas", "study", str(file), "--output", str(root), "--ray"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ | {"TMPDIR": short},
        ) as process,
    ):
        assert process.stdout is not None and process.stderr is not None
        seen = [process.stdout.readline()]
        while seen[-1] and not re.match("[34] of 5 done: ", seen[-1]):  # two jobs can end in the same moment
            seen.append(process.stdout.readline())
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes of the command
        told = process.stderr.read()
        left = [file.read_text(errors="replace")[-2000:] for file in Path(short).rglob("python-core-driver-*.log")]
        ended = (told, process.wait(60))
        assert ended == ("compactnas: interrupted; give the same command again to continue\n", 130), (seen, left)
        assert seen[0].startswith("5 jobs, 2 done; 1 machine with ")
        assert processes_of(process.pid) == ""
        assert not list(Path(short).glob("ray-*"))
    assert not list(root.glob(".driver-*"))
    assert 3 <= sum(job.done(root) for job in expand(read_study(file))) < 5
    assert main(["study", str(file), "--output", str(root)]) == 0
    assert results(root) == results(alone)


STUBS = {
    "srun": 'while case "${1:-}" in --*) true ;; *) false ;; esac; do shift; done; exec "$@"',
    "scontrol": 'case "$1 $2" in "show hostnames") printf "one\\ntwo\\n" ;; *) echo "$*" >> "$ASKED" ;; esac',
    "compactnas": f'exec "{sys.executable}" -m compactnas "$@"',
}
"""Programs of a Slurm cluster whose machines are all this one."""


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """The environment of a job in an allocation of two machines."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, body in STUBS.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)
    paths = [str(folder), str(Path(sys.executable).parent), os.environ["PATH"]]
    return os.environ | {
        "PATH": os.pathsep.join(paths),
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_JOB_NODELIST": "machine[1-2]",
        "SLURM_CPUS_PER_TASK": "1",
        "HEAD_IP": HOST,
        "ASKED": str(tmp_path / "asked"),
        "HOME": str(tmp_path),
    }


def submit(words: list[str], environment: dict[str, str], *, warn: bool) -> tuple[int, str]:
    """Run a script to its end, warned when the first job has begun as Slurm does before the time is over."""
    with subprocess.Popen(
        words,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if warn and line.startswith("begins: "):
                process.send_signal(signal.SIGUSR1)
                warn = False
    assert processes_of(process.pid) == ""
    return process.returncode, "".join(said)


def test_the_slurm_example_runs_on_two_machines_and_goes_on_when_it_is_queued_again(
    repository: Path, slurm: dict[str, str], tmp_path: Path
) -> None:
    file, out = write_few(tmp_path, methods=[], random=False, retrainings=2), tmp_path / "out"
    asked, words = tmp_path / "asked", [str(repository / "examples" / "slurm.sbatch"), str(file), str(out)]
    subprocess.run(["bash", "-n", words[0]], check=True)
    code, said = submit(words, slurm, warn=True)
    assert code == 130, said
    assert "interrupted; give the same command again to continue\nthe time is nearly over" in said
    assert asked.read_text() == f"requeue {slurm['SLURM_JOB_ID']}\n"
    asked.unlink()
    code, said = submit(words, slurm, warn=False)
    assert code == 0, said
    assert "2 of 2 done" in said and "| official |" in said and (out / "tables.md").exists()
    assert all("Ray runtime started" in (out / f"ray-{name}.log").read_text() for name in ("one", "two"))
    assert not asked.exists()
    assert not Path(f"/tmp/ray-{slurm['SLURM_JOB_ID']}").exists()
