"""The parts of a study on a cluster, without a cluster: shares, folders, addresses, and what is worth a retry."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.study_files import write_study

from compactnas.cli import main
from compactnas.config import MachineConfig
from compactnas.distributed.ray_session import RayOptions, Share
from compactnas.errors import UserError
from compactnas.studies import expand, read_study
from compactnas.studies.ray import cluster, worker
from compactnas.studies.ray.cluster import CRASHES, DEATHS, _Attempt, _Board, task_options
from compactnas.studies.ray.worker import LOG, OWNER, Log, Order, pack, unpack
from compactnas.training.runtime import Silent


def node(cpus: float, gpus: float, *, alive: bool = True) -> dict[str, Any]:
    return {"Alive": alive, "Resources": {"CPU": cpus} | ({"GPU": gpus} if gpus else {}), "NodeManagerHostname": "one"}


ON_GPUS, ON_CPUS = [node(16.0, 0.0), node(16.0, 4.0)], [node(16.0, 0.0)]
CPU, AUTO = MachineConfig(device="cpu", threads=2), MachineConfig()


@pytest.mark.parametrize(
    ("options", "machine", "nodes", "share"),
    [
        (RayOptions(), CPU, ON_GPUS, Share(2.0, 0.0, 2)),
        (RayOptions(), AUTO, ON_CPUS, Share(1.0, 0.0, 1)),
        (RayOptions(), AUTO, ON_GPUS, Share(1.0, 1.0, 1)),
        (RayOptions(gpus=0.25), AUTO, ON_GPUS, Share(1.0, 0.25, 1)),
        (RayOptions(gpus=0.0), AUTO, ON_GPUS, Share(1.0, 0.0, 1)),
        (RayOptions(cpus=4.0), AUTO, ON_CPUS, Share(4.0, 0.0, 4)),
        (RayOptions(cpus=0.5), CPU, ON_CPUS, Share(0.5, 0.0, 2)),
        (RayOptions(), MachineConfig(device="cuda", threads=2), ON_GPUS, Share(2.0, 1.0, 2)),
    ],
)
def test_a_job_takes_its_threads_and_a_gpu_or_part_of_one(
    options: RayOptions, machine: MachineConfig, nodes: list[dict[str, Any]], share: Share
) -> None:
    found = options.share(machine, nodes)
    assert found == share
    asked = task_options(found)
    assert (asked["num_cpus"], asked["num_gpus"], asked["max_retries"]) == (share.cpus, share.gpus, 0)
    assert asked["runtime_env"]["env_vars"]["OMP_NUM_THREADS"] == str(share.threads)


@pytest.mark.parametrize(
    ("options", "machine", "nodes", "said"),
    [
        ({"gpus": 1.5}, AUTO, ON_GPUS, "--ray-gpus: 1.5 is neither"),
        ({"gpus": -2.0}, AUTO, ON_GPUS, "--ray-gpus: -2 is neither"),
        ({"cpus": -1.0}, AUTO, ON_GPUS, "--ray-cpus: -1 is negative"),
        ({"cpus": 17.0}, AUTO, ON_CPUS, "no machine has the 17 CPUs and 0 GPUs of a job (at most 16 and 0)"),
        ({"gpus": 1.0}, AUTO, [node(16.0, 4.0, alive=False), node(8.0, 0.0)], "(at most 8 and 0)"),
        ({}, MachineConfig(device="cuda"), ON_CPUS, "machine.device is cuda"),
        ({"gpus": 0.0}, MachineConfig(device="cuda"), ON_GPUS, "machine.device is cuda"),
    ],
)
def test_a_share_that_no_machine_has_is_refused(
    options: dict[str, float], machine: MachineConfig, nodes: list[dict[str, Any]], said: str
) -> None:
    with pytest.raises(UserError) as caught:
        RayOptions(**options).share(machine, nodes)  # type: ignore[arg-type]
    assert said in str(caught.value)


def test_without_ray_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["study", str(write_study(tmp_path)), "--output", str(tmp_path / "out"), "--ray"]) == 2
    said = capsys.readouterr().err
    assert said == "compactnas: error: Ray is not installed; install it with `pip install 'compactnas[cluster]'`\n"


@pytest.fixture
def no_ray() -> Iterator[str]:
    """An address where something answers that is no Ray."""

    def answer() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(100)
            connection.sendall(b"HTTP/1.0 400 Bad request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def test_a_wrong_address_is_one_line_at_once(
    no_ray: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    file = write_study(tmp_path)
    for address, said in (
        ("127.0.0.1:1", "no Ray answers there (connection refused)"),
        ("127.0.0.1:99999", "no Ray answers there"),
        (no_ray, "not a Ray head"),
        ("ray://127.0.0.1:1", "is not HOST:PORT or auto"),
        ("head", "is not HOST:PORT or auto"),
        ("auto", "no Ray runs on this machine"),
    ):
        assert main(["study", str(file), "--output", str(tmp_path / "out"), "--ray-address", address]) == 2
        error = capsys.readouterr().err
        assert said in error and len(error.splitlines()) == 1, error


def test_a_folder_is_shared_where_what_the_driver_wrote_can_be_read(tmp_path: Path) -> None:
    with cluster._token(tmp_path) as token:
        assert Order(str(tmp_path), token, "", 1, "a").shared()
        assert not Order(str(tmp_path / "elsewhere"), token, "", 1, "a").shared()
        assert not Order(str(tmp_path), (token[0], "another study's"), "", 1, "a").shared()
    assert not Order(str(tmp_path), token, "", 1, "a").shared()


def test_files_travel_whole_and_the_last_one_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "here" / "jobs" / "k"
    for name in ("job.json", "search/alpha.json", "search/checkpoint-000001-000000000.pt", "z.json", ".owner"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    files = pack(tmp_path / "here", folder)
    assert sorted(files) == ["jobs/k/job.json", "jobs/k/search/alpha.json", "jobs/k/z.json"]
    assert "jobs/k/search/checkpoint-000001-000000000.pt" in pack(tmp_path / "here", folder, checkpoints=True)
    written: list[str] = []
    monkeypatch.setattr(worker, "write_bytes", lambda path, content: written.append(path.name))
    unpack(files, tmp_path / "there")
    assert written == ["alpha.json", "z.json", "job.json"]
    with pytest.raises(UserError, match="outside the study"):
        unpack({"../outside": b""}, tmp_path / "there")


def test_a_job_whose_folder_is_given_to_another_attempt_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "CHECK_EVERY_S", 0.0)
    with Log(tmp_path, "first", "one") as first:
        first.step({})
        with Log(tmp_path, "second", "two") as second:
            second.step({})
            with pytest.raises(UserError, match="another process now runs this job"):
                first.step({})
        assert not (tmp_path / OWNER).exists()
        first.step({})  # nobody's: the second one has ended
    lines = (tmp_path / LOG).read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["one: begins", "two: begins", "two: done", "one: done"]


class LostError(Exception):
    """Stands for Ray's own errors."""


def board(tmp_path: Path) -> _Board:
    """A board without a cluster."""
    remote = SimpleNamespace(options=lambda **options: None)
    errors = SimpleNamespace(NodeDiedError=type("NodeDiedError", (LostError,), {}), OutOfMemoryError=LostError)
    ray = SimpleNamespace(remote=lambda function: remote, exceptions=errors, nodes=list)
    jobs = expand(read_study(write_study(tmp_path)))
    return _Board(ray, jobs, tmp_path, ("", ""), Share(1.0, 0.0, 1), True, Silent(), lambda line: None)


@pytest.mark.parametrize("died", [False, True])
def test_a_job_is_begun_again_but_not_for_ever(tmp_path: Path, died: bool) -> None:
    made = board(tmp_path)
    error = made.ray.exceptions.NodeDiedError("x") if died else LostError("the process was killed")
    job = made.waiting.pop(0)
    for _ in range(DEATHS if died else CRASHES):
        made._lose(_Attempt(job, []), error)
        assert made.waiting.pop(0) is job
    with pytest.raises(UserError, match=rf"{job.name.replace('+', '.')}: lost \d+ times, .*log\.txt"):
        made._lose(_Attempt(job, []), error)


def test_results_that_never_appear_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "APPEARS_WITHIN_S", 0.0)
    made = board(tmp_path)
    begun, ended = worker.Begun("one", "4711"), worker.Ended(1.0, ("a warning",), {})
    with pytest.raises(UserError, match="one has written its results, but they do not appear here"):
        made._end(_Attempt(made.jobs[0], [], begun, ended))
    made.jobs[0].folder(tmp_path).mkdir(parents=True)
    (made.jobs[0].folder(tmp_path) / "job.json").write_text(json.dumps({}))
    heard: list[str] = []
    monkeypatch.setattr(made.listener, "warn", heard.append, raising=False)
    for _ in range(2):
        made._end(_Attempt(made.jobs[0], [], begun, ended))
    assert heard == ["a warning"]
