"""One run in several processes: what one process with the same batches computes, and no process left waiting.

All of it on the CPU, over gloo on the loopback interface. What only GPUs can show (NCCL) is skipped by name.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from support.ddp_worker import run_case
from support.forking import Forked
from support.tiny import tiny_config, write_patches
from torch import nn

from compactnas.cli import main
from compactnas.cli.command import COMMANDS
from compactnas.config import MachineConfig
from compactnas.data.batches import Batches
from compactnas.data.source import ArraySource, Facts
from compactnas.distributed.launch import is_rank_zero, rank, require_processes, starter
from compactnas.distributed.process_group import SINGLE_PROCESS, ProcessGroup
from compactnas.distributed.sync_layers import use_global_layers
from compactnas.errors import AlreadyReportedError, UserError
from compactnas.pipeline.running import run
from compactnas.runs.folder import read_config
from compactnas.training.runtime import Silent, make_fabric

WAIT_S = 120
ENDS_WITHIN_S = 30
TOLERANCE = {"float64": 1e-9, "float32": 1e-4}
"""Of losses, relative, over four steps each."""

STRATEGIES = ("float64:second order", "float64:proxyless", "float64:uniform")
TWO = ("float64:paper", "float64:nasnet", "float64:found", "float32:paper", "float32:found", *STRATEGIES)
THREE = ("float64:two by two", "float64:sen2lcz")
"""With three processes and two patches, a process has none."""

Seen = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patches(tmp_path_factory.mktemp("tiny") / "patches.npz")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def environment(**more: object) -> dict[str, str]:
    """That of a shell in which no run has begun."""
    names = ("LOCAL_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
    clean = {key: value for key, value in os.environ.items() if key not in names and not key.startswith("SLURM_")}
    return clean | {"OMP_NUM_THREADS": "1"} | {key: str(value) for key, value in more.items()}


def together(words: Sequence[str], places: Sequence[dict[str, object]]) -> list[subprocess.CompletedProcess[str]]:
    """The same arguments of `python` once for each place, in forked processes side by side; all have ended."""
    with ExitStack() as stack:
        started = [stack.enter_context(Forked(words, environment(**place))) for place in places]
        ended = [process.communicate(WAIT_S) for process in started]
        return [
            subprocess.CompletedProcess(words, process.wait(), *texts)
            for process, texts in zip(started, ended, strict=True)
        ]


def in_new_python(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """A command in a new Python, as a user starts it."""
    command = [sys.executable, *words]
    return subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=WAIT_S, check=False, start_new_session=True
    )


def watched(patches: Path, folder: Path, count: int, cases: Sequence[str]) -> list[Seen]:
    """What each of so many processes saw of these cases."""
    address: dict[str, object] = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    words = ["-c", "import sys; from support.ddp_worker import main; main(*sys.argv[1:])"]
    words += [str(patches), str(folder), str(count), *cases]
    for done in together(words, [address | {"LOCAL_RANK": r} for r in range(count)]):
        assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"{r}.pt", weights_only=True) for r in range(count)]


@pytest.fixture(scope="module")
def by_one(patches: Path) -> Seen:
    fabric = make_fabric(MachineConfig(device="cpu", threads=1))
    return {case: run_case(patches, fabric, case) for case in {*TWO, *THREE}}


@pytest.fixture(scope="module", params=[2, 3], ids=["two processes", "three processes"])
def by_many(request: pytest.FixtureRequest, patches: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Seen]:
    return watched(patches, tmp_path_factory.mktemp("many"), request.param, TWO if request.param == 2 else THREE)


def test_losses_metrics_and_weights_are_those_of_one_process(by_one: Seen, by_many: list[Seen]) -> None:
    for case, seen in by_many[0].items():
        near = TOLERANCE[case.split(":")[0]]
        alone = by_one[case]
        assert len(seen["steps"]) == len(alone["steps"]) > 3, case
        for step, (many, one) in enumerate(zip(seen["steps"], alone["steps"], strict=True)):
            assert many["loss"] == pytest.approx(one["loss"], rel=near), (case, step)
            assert many["accuracy"] == pytest.approx(one["accuracy"], rel=1e-6), (case, step)  # counted in 32 bits
        assert seen["row"].keys() == alone["row"].keys()
        for name, value in alone["row"].items():
            rounded = 0.0 if near < 1e-6 else near
            assert seen["row"][name] == (pytest.approx(value, abs=rounded) if isinstance(value, float) else value), name
        for name, one in alone["weights"].items():
            torch.testing.assert_close(
                seen["weights"][name], one, rtol=10 * near, atol=10 * near, msg=f"{case}: {name}"
            )
        assert seen.get("accuracy") == alone.get("accuracy"), case
        if "confusion" in alone:
            assert torch.equal(seen["confusion"], alone["confusion"]), case


def test_each_process_draws_the_same_architecture_at_every_step_and_ends_with_the_same_bytes(
    by_one: Seen, by_many: list[Seen]
) -> None:
    first, *others = by_many
    for other in others:
        for case in first:
            assert other[case]["steps"] == first[case]["steps"] and other[case]["row"] == first[case]["row"]
            for name, weights in first[case]["weights"].items():
                assert torch.equal(other[case]["weights"][name], weights), (case, name)
            draws = zip(first[case].get("draws", ()), other[case].get("draws", ()), strict=True)
            for step, (ours, theirs) in enumerate(draws):
                assert ours[:2] == theirs[:2], (case, step)
                assert all(torch.equal(a, b) for a, b in zip(ours[2:], theirs[2:], strict=True)), (case, step)
    for case in first:
        paths = [draw[:2] for draw in first[case].get("draws", ())]
        assert paths == [draw[:2] for draw in by_one[case].get("draws", ())], case


def test_the_shares_of_a_batch_are_the_batch(patches: Path) -> None:
    """Any number of rows and processes: in order, each row once, with the symmetry that one process draws."""
    for rows in range(1, 12):
        for count in (1, 2, 3, 5):
            shares = [list(range(rows))[ProcessGroup(r, count).share(rows)] for r in range(count)]
            assert list(chain(*shares)) == list(range(rows))
            assert max(map(len, shares)) - min(map(len, shares)) <= 1
    images = torch.arange(2 * 11 * 9.0).reshape(11, 2, 3, 3).numpy()
    labels = torch.arange(11) % 3
    source = ArraySource(Facts("numbers", ("a", "b"), ("x", "y", "z"), 3, labels.numpy()), images)
    rows_of = torch.arange(11).numpy()
    whole = list(Batches(source, rows_of, 4, seed=5, stream=1, augment="dihedral").epoch(3))
    for count in (2, 4):
        parts = [
            list(
                Batches(
                    source, rows_of, 4, seed=5, stream=1, augment="dihedral", processes=ProcessGroup(r, count)
                ).epoch(3)
            )
            for r in range(count)
        ]
        for step, (x, y) in enumerate(whole):
            assert torch.equal(torch.cat([part[step][0] for part in parts]), x)
            assert torch.equal(torch.cat([part[step][1] for part in parts]), y)
    empty = Batches(source, rows_of, 4, seed=5, stream=1, augment="dihedral", processes=ProcessGroup(0, 4))
    assert empty.rows(2) == 3 and [len(y) for _, y in empty.epoch(0)] == [1, 1, 0]


def test_alone_nothing_is_exchanged_or_replaced() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(0.5))
    layers = list(network)
    use_global_layers(network, SINGLE_PROCESS)
    assert list(network) == layers
    SINGLE_PROCESS.sum([torch.ones(2)])
    SINGLE_PROCESS.require_same("this", 1)
    assert SINGLE_PROCESS.on_rank_zero(lambda: 5) == 5
    assert make_fabric(MachineConfig(device="cpu", threads=1)).world_size == 1


def started_by(monkeypatch: pytest.MonkeyPatch, **names: object) -> None:
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_STEP_NUM_TASKS", "RANK", "LOCAL_RANK", "NODE_RANK", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, str(value))


@pytest.mark.parametrize(
    ("names", "devices", "nodes", "message"),
    [
        ({"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": 4, "LOCAL_WORLD_SIZE": 2, "RANK": 0}, 2, 2, ""),
        (
            {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": 4, "LOCAL_WORLD_SIZE": 2, "RANK": 0},
            4,
            1,
            "torchrun has started 4 processes on 2 nodes; give --devices 2 --nodes 2, or start 4",
        ),
        (
            {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "RANK": 0},
            1,
            1,
            "1 x 1, but torchrun has started 2 processes on 1 node",
        ),
        ({"SLURM_STEP_NUM_TASKS": 4, "SLURM_NNODES": 2, "SLURM_PROCID": 0}, 2, 2, ""),
        (
            {"SLURM_STEP_NUM_TASKS": 4, "SLURM_NNODES": 2, "SLURM_PROCID": 0},
            2,
            1,
            "srun has started 4 processes on 2 nodes",
        ),
        ({"SLURM_NTASKS": 4, "SLURM_NNODES": 1, "SLURM_PROCID": 0}, 4, 1, ""),  # a batch script without srun
        ({}, 2, 1, ""),
        ({}, 2, 2, "2 nodes need torchrun or srun"),
    ],
)
def test_devices_and_nodes_are_those_that_were_started(
    monkeypatch: pytest.MonkeyPatch, names: dict[str, object], devices: int, nodes: int, message: str
) -> None:
    started_by(monkeypatch, **names)
    monkeypatch.delenv("SLURM_NTASKS_PER_NODE", raising=False)
    machine = MachineConfig(device="cpu", devices=devices, nodes=nodes)
    if not message:
        require_processes(machine)
        return
    with pytest.raises(UserError, match=message) as caught:
        require_processes(machine)
    assert not isinstance(caught.value, AlreadyReportedError) and "\n" not in str(caught.value)


def test_the_first_process_tells_what_all_of_them_find(monkeypatch: pytest.MonkeyPatch) -> None:
    started_by(monkeypatch, TORCHELASTIC_RUN_ID="x", WORLD_SIZE=2, LOCAL_WORLD_SIZE=2, RANK=1)
    assert starter() == "torchrun" and rank() == 1
    with pytest.raises(AlreadyReportedError):
        require_processes(MachineConfig(devices=3))
    assert not is_rank_zero(MachineConfig(devices=2)) and is_rank_zero(MachineConfig())


def test_a_device_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    started_by(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match="4 GPUs requested, but this process sees 2; use --devices 2"):
        make_fabric(MachineConfig(device="cuda", devices=4))
    with pytest.raises(UserError, match=r"machine\.devices: 0 is less than 1"):
        MachineConfig(devices=0)


TRAINING = (
    "--recipe paper --machine.threads 1 --machine.device cpu --train.epochs 3 --train.batch_size 26 "
    "--train.learning_rate 0.05"
)
SEARCH = (
    "--space.channels 4 --space.max_depth 2 --search.initial_depth 2 --search.batch_size 15 --search.epochs 4 "
    "--search.alpha_learning_rate 0.05 --search.augment dihedral"
)
EPOCHS = [f"search S+C+D epoch {n}/4" for n in range(1, 5)] + [f"train the genotype epoch {n}/3" for n in range(1, 4)]
"""Start of each line that a run prints without a terminal."""
WRITTEN = ("genotype.json", "search/metrics.jsonl", "search/alpha.json", "train/metrics.jsonl", "model.safetensors")


def words_of(command: str, data: Path, folder: Path, *more: str) -> list[str]:
    options = TRAINING.split() + SEARCH.split() * (command != "train")
    return ["-m", "compactnas", command, "--data.path", str(data), "--output", str(folder), *options, *more]


@pytest.fixture(scope="module")
def whole(patches: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run of two processes that `compactnas` starts itself."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    done = in_new_python(words_of("run", patches, folder, "--devices", "2"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("report: ") == 1
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == EPOCHS  # told by the first process alone
    return folder


def read_rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def same_rows(file: Path, other: Path, near: float = 0.01) -> None:
    """Losses are near each other: after some epochs, rounding has grown by so much."""
    for ours, theirs in zip(read_rows(file), read_rows(other), strict=True):
        for name, value in ours.items():
            if name.startswith("loss"):
                assert theirs[name] == pytest.approx(value, abs=near), (name, ours["epoch"])


def test_a_whole_run_by_two_processes_is_that_of_one(patches: Path, whole: Path, tmp_path: Path) -> None:
    config = read_config(whole)
    assert (config.machine.devices, config.machine.nodes) == (2, 1)
    evaluation = run(replace(config, machine=replace(config.machine, devices=1)), tmp_path / "one")
    same_rows(tmp_path / "one/search/metrics.jsonl", whole / "search/metrics.jsonl")
    same_rows(tmp_path / "one/train/metrics.jsonl", whole / "train/metrics.jsonl")
    assert json.loads((whole / "evaluation.json").read_text())["confusion"] == evaluation.confusion.tolist()
    assert {f.name for f in whole.iterdir()} - {"report.html"} == {f.name for f in (tmp_path / "one").iterdir()}


def test_srun_starts_a_training(patches: Path, whole: Path, tmp_path: Path) -> None:
    """The variables that srun sets for each of two tasks on one node."""
    step = {"SLURM_STEP_NUM_TASKS": 2, "SLURM_NTASKS": 2, "SLURM_NNODES": 1, "SLURM_NODEID": 0}
    step |= {"SLURM_JOB_ID": 1, "SLURM_NODELIST": "127.0.0.1", "MASTER_PORT": free_port()}  # type: ignore[dict-item]
    words = words_of("train", patches, tmp_path / "run", "--devices", "2", "--model", str(whole / "genotype.json"))
    places = [step | {"SLURM_PROCID": r, "SLURM_LOCALID": r} for r in range(2)]
    for process, done in enumerate(together(words, places)):  # type: ignore[arg-type]
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("trained: ") == (process == 0)
    for name in ("train/metrics.jsonl", "model.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (whole / name).read_bytes(), name


def test_only_the_first_process_speaks_of_a_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(argv: list[str]) -> int:
        raise AlreadyReportedError("said")

    monkeypatch.setitem(COMMANDS._entries, "run", replace(COMMANDS["run"], run=fail))
    assert main(["run"]) == 2
    assert capsys.readouterr().err == ""


def start_until(words: Sequence[str], file: Path, lines: int) -> Forked:
    """A run that has written so many lines of a file."""
    process = Forked(words, environment())
    end = time.monotonic() + WAIT_S
    while not (file.exists() and len(file.read_text().splitlines()) >= lines):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    return process


def second_of(process: Forked) -> int:
    """The one other process of a run."""
    (other,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(other)


def alive(process: int) -> bool:
    status = Path(f"/proc/{process}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_run_of_which_a_process_is_killed_ends_and_goes_on_to_the_same_bytes(
    patches: Path, whole: Path, tmp_path: Path
) -> None:
    """First the second process, in the search, then the first one, in the training; torchrun starts what is left."""
    cut = tmp_path / "cut"
    words = words_of("run", patches, cut, "--devices", "2")
    begun = start_until(words, cut / "search" / "metrics.jsonl", 2)
    os.kill(second_of(begun), signal.SIGKILL)
    _, said = begun.communicate(ENDS_WITHIN_S)
    assert begun.wait() != 0 and not (cut / "genotype.json").exists()
    if begun.wait() > 0:  # else fabric's own watch was faster
        *told, last = said.splitlines()
        assert last == "compactnas: error: another process of this run has ended; continue with --resume"
        assert [line.split(":")[0] for line in told] == EPOCHS[: len(told)]
    shutil.copytree(cut, tmp_path / "alone")

    begun = start_until([*words, "--resume"], cut / "train" / "metrics.jsonl", 1)
    other = second_of(begun)
    os.kill(begun.pid, signal.SIGKILL)
    end = time.monotonic() + ENDS_WITHIN_S
    while alive(other):
        assert time.monotonic() < end, "the other process is still there"
        time.sleep(0.1)
    begun.communicate()
    assert not (cut / "model.safetensors").exists()

    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_addr", "127.0.0.1"]
    launcher += ["--master_port", str(free_port())]
    done = in_new_python([*launcher, *words, "--resume"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("report: ") == 1
    for name in WRITTEN:
        assert (cut / name).read_bytes() == (whole / name).read_bytes(), name
    _goes_on_alone(tmp_path / "alone", whole)


def _goes_on_alone(folder: Path, whole: Path) -> None:
    """A state does not depend on the number of processes."""
    heard: list[str] = []

    class Ear(Silent):
        def warn(self, text: str) -> None:
            heard.append(text)

    config = read_config(folder)
    run(replace(config, machine=replace(config.machine, devices=1)), folder, resume=True, listener=Ear())
    assert any("resuming on 1 device (started on 2): the last digits may differ" in text for text in heard)
    same_rows(folder / "search/metrics.jsonl", whole / "search/metrics.jsonl")
    same_rows(folder / "train/metrics.jsonl", whole / "train/metrics.jsonl")


def test_a_config_of_an_older_version_is_resumed(patches: Path, tmp_path: Path) -> None:
    """It lacks the options that came later; they stand at their defaults."""
    import yaml

    config = tiny_config(patches, search={"epochs": 1}, train={"epochs": 1})
    run(config, tmp_path / "run")
    file = tmp_path / "run" / "config.yaml"
    values = yaml.safe_load(file.read_text())
    del values["machine"]["devices"], values["machine"]["nodes"], values["search"]["sampled_inputs"]
    file.write_text(yaml.safe_dump(values))
    run(config, tmp_path / "run", resume=True)
    with pytest.raises(UserError, match=r"differs from the given config in search\.sampled_inputs"):
        run(replace(config, search=replace(config.search, sampled_inputs=1)), tmp_path / "run", resume=True)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="NCCL: needs two GPUs")
def test_two_gpus_give_the_losses_of_one(patches: Path, tmp_path: Path) -> None:
    for devices in ("1", "2"):
        words = words_of("run", patches, tmp_path / devices, "--devices", devices, "--machine.device", "cuda")
        done = in_new_python(words)
        assert done.returncode == 0, done.stderr
    same_rows(tmp_path / "1/search/metrics.jsonl", tmp_path / "2/search/metrics.jsonl", near=1e-2)
