"""What may happen to a run: a stop, damaged checkpoints, another writer, a full disk, losses without a number."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from support.forking import Forked, finish
from support.killing import SAME, command
from support.tiny import Killed, tiny_config, write_patches

from compactnas.cli import main
from compactnas.config import RunConfig
from compactnas.errors import UserError
from compactnas.io.signals import SIGNALS, StoppedError, stop_requests, stopping_at_once
from compactnas.io.sole_writer import LOCK, OWNER, sole_writer
from compactnas.io.temporary import temporary_name
from compactnas.pipeline.running import run, search_stage, train_stage
from compactnas.runs.checkpoints import PATTERN, Checkpoints
from compactnas.training import resumable_loop
from compactnas.training.resumable_loop import ResumableLoop, StepResult
from compactnas.training.runtime import Silent

EACH_STEP = 1e-9
"""Minutes between checkpoints that make one of each step."""


@pytest.fixture(scope="module")
def patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_patches(tmp_path_factory.mktemp("data") / "patches.npz")


@pytest.fixture(autouse=True)
def nobody_listens() -> Iterator[None]:
    """Ray, in a test before, may have left a handler of its own in this process."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def config_of(patches: Path, minutes: float = 0.0, **search: object) -> RunConfig:
    config = tiny_config(
        patches,
        space={"nodes": 3, "blocks": 2},
        search={"epochs": 2, "batch_size": 8, **search},
        train={"epochs": 2, "batch_size": 8},
    )
    return replace(config, machine=replace(config.machine, checkpoint_minutes=minutes))


@pytest.fixture(scope="module")
def whole(patches: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run."""
    folder = tmp_path_factory.mktemp("undisturbed") / "whole"
    run(config_of(patches), folder)
    return folder


class AtStep(Silent):
    """Does something after so many steps."""

    def __init__(self, steps: int, act: Callable[[], None]) -> None:
        self.left, self.act = steps, act

    def step(self, metrics: dict[str, float]) -> None:
        self.left -= 1
        if not self.left:
            self.act()


def die() -> None:
    raise Killed


def same_files(one: Path, other: Path) -> None:
    for name in SAME:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_a_run_cut_inside_epochs_ends_with_the_same_bytes(patches: Path, whole: Path, tmp_path: Path) -> None:
    config = config_of(patches, EACH_STEP)
    for steps in (3, 2, 5, 4, 7):
        with pytest.raises(Killed):
            run(config, tmp_path / "cut", resume=True, listener=AtStep(steps, die))
    names = [file.name for file in (tmp_path / "cut").rglob(PATTERN)]
    assert any(not name.endswith("-000000000.pt") for name in names), "no checkpoint inside an epoch"
    assert len(names) <= 2 * config.machine.keep_checkpoints
    run(config, tmp_path / "cut", resume=True)
    same_files(whole, tmp_path / "cut")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_request_to_stop_keeps_the_state_and_says_so(patches: Path, whole: Path, tmp_path: Path, name: str) -> None:
    config = config_of(patches)

    def ask() -> None:
        os.kill(os.getpid(), getattr(signal, name))

    before = signal.getsignal(signal.SIGTERM)
    for steps, where in ((2, "search"), (4, "search"), (12, "")):
        with pytest.raises(StoppedError, match=f"{where}.*stopped by {name} after epoch"):
            run(config, tmp_path / "cut", resume=True, listener=AtStep(steps, ask))
    assert signal.getsignal(signal.SIGTERM) == before
    run(config, tmp_path / "cut", resume=True)
    same_files(whole, tmp_path / "cut")


def test_the_command_ends_with_a_code_of_its_own(patches: Path, tmp_path: Path) -> None:
    process = Forked(command(patches, tmp_path / "run"))
    metrics, end = tmp_path / "run" / "search" / "metrics.jsonl", time.monotonic() + 120
    while not metrics.exists() and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR1)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 75 and said.splitlines()[-1].startswith("compactnas: ")
    assert "stopped by SIGUSR1" in said and "--resume" in said and "Traceback" not in said


def test_outside_a_stage_a_request_stops_at_once() -> None:
    with stopping_at_once():
        with stop_requests() as requested:
            os.kill(os.getpid(), signal.SIGTERM)
            assert requested() == "SIGTERM"
        with pytest.raises(StoppedError, match="SIGTERM"):
            os.kill(os.getpid(), signal.SIGTERM)


def test_the_newest_checkpoint_that_can_be_read_is_taken(patches: Path, whole: Path, tmp_path: Path) -> None:
    config, warned = config_of(patches), []
    with pytest.raises(Killed):
        search_stage(
            replace(config, machine=replace(config.machine, checkpoint_minutes=EACH_STEP)),
            tmp_path / "cut",
            listener=AtStep(4, die),
        )
    newest, _ = Checkpoints(tmp_path / "cut" / "search", 2).files()
    newest.write_bytes(newest.read_bytes()[:-100])

    class Listening(Silent):
        def warn(self, text: str) -> None:
            warned.append(text)

    search_stage(config, tmp_path / "cut", resume=True, listener=Listening())
    assert any(newest.name in text and "resuming from an older one" in text for text in warned)
    for name in ("genotype.json", "search/metrics.jsonl", "search/alpha.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (whole / name).read_bytes()
    for file in (tmp_path / "cut" / "search").glob(PATTERN):
        file.write_bytes(b"nothing")
    with pytest.raises(UserError, match="no other checkpoint is readable"):
        search_stage(config, tmp_path / "cut", resume=True)


def test_a_folder_has_one_writer(patches: Path, tmp_path: Path) -> None:
    """Held by a living process, then by one that was killed."""
    folder = tmp_path / "run"
    hold = (
        f"import sys, time; from pathlib import Path; from compactnas.io.sole_writer import sole_writer\n"
        f"with sole_writer(Path({str(folder)!r})): print('held', flush=True); time.sleep(60)"
    )
    holder = Forked(["-c", hold])
    try:
        while holder.poll() is None and not holder.files[0].read_text():
            time.sleep(0.01)
        with pytest.raises(UserError, match=f"process {holder.pid} on .* is writing here"):
            search_stage(config_of(patches), folder)
        assert not (folder / "config.yaml").exists()
        temporary_name(folder / "model.json").write_text("half")
    finally:
        holder.kill()
        holder.communicate()
    assert (folder / LOCK).exists()
    search_stage(config_of(patches), folder)
    assert (folder / "genotype.json").exists() and not list(folder.rglob(".*.part"))
    with sole_writer(folder), sole_writer(folder):  # a stage inside a job
        pass


def test_a_clock_that_is_set_back_changes_nothing(
    patches: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [2e9]

    def back() -> float:
        now[0] -= 3600.0
        return now[0]

    config = config_of(patches, EACH_STEP)
    with pytest.raises(Killed):
        run(config, tmp_path / "cut", listener=AtStep(4, die))
    monkeypatch.setattr(time, "time", back)
    for file in (tmp_path / "cut").rglob(PATTERN):  # the newest by name is the oldest by its date
        os.utime(file, (back(), back()))
    run(config, tmp_path / "cut", resume=True)
    same_files(whole, tmp_path / "cut")


def spoilt(monkeypatch: pytest.MonkeyPatch, module: str, at: int) -> list[int]:
    """Make a loss NaN in so manieth computation, and in it alone."""
    from compactnas.training.optim import loss_and_accuracy

    count = [0]

    def loss(logits: Any, y: Any, rows: int) -> Any:
        value, hits = loss_and_accuracy(logits, y, rows)
        count[0] += 1
        return (value * float("nan"), hits) if count[0] == at else (value, hits)

    monkeypatch.setattr(f"compactnas.{module}.loss_and_accuracy", loss)
    return count


LOSSES = {"search": "search.bilevel", "train": "training.trainer"}
"""Module that computes the loss of each stage."""


@pytest.mark.parametrize(("module", "stage"), [("search", "search S"), ("train", "train resnet8")])
def test_a_loss_that_is_no_number_is_told_with_its_step_and_its_batch(
    patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, stage: str
) -> None:
    config = config_of(patches)
    spoilt(monkeypatch, LOSSES[module], 9)
    with pytest.raises(UserError, match=rf"{stage}.*epoch \d, step \d, whose batch holds rows \d.*last good state"):
        (search_stage(config, tmp_path) if module == "search" else train_stage(config, tmp_path, "resnet8"))
    saved, _ = Checkpoints(tmp_path / module, 2).newest()
    assert saved is not None
    weights = saved["state"]["supernet" if module == "search" else "network"]
    assert all(np.isfinite(value.double().numpy()).all() for value in weights.values())


def test_after_a_divergence_a_search_can_go_on_at_a_lower_rate(
    patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, warned = config_of(patches, on_divergence="lower", epochs=3), []
    spoilt(monkeypatch, LOSSES["search"], 13)

    class Listening(Silent):
        def warn(self, text: str) -> None:
            warned.append(text)

    search_stage(config, tmp_path, listener=Listening())
    assert any("resuming from the last good state at 0.5 of the learning rate" in text for text in warned)
    saved, _ = Checkpoints(tmp_path / "search", 2).newest()
    assert saved is not None and saved["factor"] == 0.5 and len(saved["rows"]) == 3


def test_a_loss_that_never_becomes_a_number_ends_the_run(
    patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compactnas.training.optim import loss_and_accuracy

    def loss(logits: Any, y: Any, rows: int) -> Any:
        value, hits = loss_and_accuracy(logits, y, rows)
        return value * float("inf"), hits

    with pytest.raises(Killed):
        search_stage(config_of(patches, EACH_STEP, on_divergence="lower"), tmp_path, listener=AtStep(2, die))
    monkeypatch.setattr("compactnas.search.bilevel.loss_and_accuracy", loss)
    with pytest.raises(UserError, match="is not finite"):
        search_stage(config_of(patches, on_divergence="lower"), tmp_path, resume=True)


def test_a_folder_that_is_gone_is_told(patches: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def vanish() -> None:
        (folder / "search").rename(tmp_path / "elsewhere")

    with pytest.raises(UserError, match="the folder is gone; bring it back"):
        search_stage(config_of(patches), folder, listener=AtStep(2, vanish))
    assert not (folder / "search").exists()


def test_a_read_only_folder_is_one_line(
    patches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    try:
        assert main(command(patches, tmp_path / "run")[2:]) == 2
    finally:
        tmp_path.chmod(0o700)
    assert "permission denied" in capsys.readouterr().err


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip("the test may not mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


def test_a_full_disk_is_one_line_and_loses_nothing(patches: Path, whole: Path, small_disk: Path) -> None:
    folder = small_disk / "run"
    with pytest.raises(Killed):
        run(config_of(patches), folder, listener=AtStep(9, die))
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    disk = os.statvfs(small_disk)
    (small_disk / "filling").write_bytes(bytes(max(0, disk.f_bavail - 2) * disk.f_bsize))
    done = finish(["-m", "compactnas", "run", "--resume", "--output", str(folder)], check=False)
    assert done.returncode == 2 and "no space left on device" in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()[-1:]) == 1
    lost = [file for file, content in before.items() if not file.exists() and not file.match(PATTERN)]
    assert not lost and list(folder.rglob(PATTERN))
    (small_disk / "filling").unlink()
    run(config_of(patches), folder, resume=True)
    same_files(whole, folder)


def test_the_lock_is_released_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), sole_writer(tmp_path):
        _ = 1 / 0
    with sole_writer(tmp_path):
        assert (tmp_path / OWNER).read_text().startswith(f"process {os.getpid()} ")


def test_a_kill_between_the_last_checkpoint_and_its_metrics_loses_no_row(
    patches: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk in that moment, at the last epoch of a search and of a training."""
    write, full = resumable_loop.write_rows, []

    def fills_up(path: Path, rows: list[Any]) -> None:
        if len(rows) == 2 and path.parent not in full:
            full.append(path.parent)
            raise OSError(28, "No space left on device")
        write(path, rows)

    monkeypatch.setattr(resumable_loop, "write_rows", fills_up)
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            run(config_of(patches), tmp_path / "cut", resume=True)
    run(config_of(patches), tmp_path / "cut", resume=True)
    assert full == [tmp_path / "cut" / "search", tmp_path / "cut" / "train"]
    same_files(whole, tmp_path / "cut")


def test_a_run_whose_folder_is_moved_writes_nothing_into_the_next_one(patches: Path, tmp_path: Path) -> None:
    """Run A is moved away while it works, and run B takes its place."""
    folder, other = tmp_path / "run", tmp_path / "other"
    search_stage(config_of(patches), other)
    before = {file: file.read_bytes() for file in other.rglob("*") if file.is_file()}

    def move() -> None:
        folder.rename(tmp_path / "moved")
        other.rename(folder)

    config = config_of(patches, learning_rate=0.2)
    with pytest.raises(UserError, match=r"run: was moved, removed or replaced while this process wrote to it"):
        search_stage(config, folder, listener=AtStep(3, move))
    folder.rename(other)
    assert {file: file.read_bytes() for file in other.rglob("*") if file.is_file()} == before
    search_stage(config, tmp_path / "moved", resume=True)


def test_a_loss_that_is_read_late_names_the_steps_that_it_may_come_from(tmp_path: Path) -> None:
    class Late:
        """Trainer as on a GPU: its losses are read by the loop, and the one of step 60 is no number."""

        def run_epoch(self, epoch: int, first_step: int = 0, rate_factor: float = 1.0) -> Any:
            for step in range(120):
                yield StepResult(((1, {"loss": torch.tensor(float("nan") if step == 59 else 1.0)}),), {})

        def data_rows(self, epoch: int, step: int) -> Any:
            raise AssertionError("no batch can be named")

        def epoch_row(self, epoch: int) -> Any:
            raise AssertionError("the epoch does not end")

        def finished(self, rows: Any) -> bool:
            return False

        def state(self) -> dict[str, Any]:
            return {}

        def restore(self, state: dict[str, Any]) -> None:
            raise AssertionError("nothing is resumed")

    loop = ResumableLoop(cast(Any, Late()), Silent(), tmp_path, "train", epochs=1, steps=120)
    with pytest.raises(UserError, match="not finite at epoch 1, one of steps 51 to 100; there is no checkpoint yet"):
        loop.run(resume=False)
