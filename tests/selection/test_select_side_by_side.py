"""Short trainings side by side: the bytes of one after the other, after kills too, and one line for what goes wrong."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from support.forking import Forked
from support.tiny import tiny_config, write_patches

from compactnas.cli import main
from compactnas.config import RunConfig
from compactnas.errors import UserError
from compactnas.pipeline.running import search_stage
from compactnas.runs.checkpoints import PATTERN
from compactnas.selection.config import SelectConfig
from compactnas.selection.run import select_stage
from compactnas.training import workers
from compactnas.training.runtime import Silent


def config_of(data: Path) -> RunConfig:
    return tiny_config(data, space={"nodes": 3, "blocks": 2}, search={"epochs": 4, "alpha_learning_rate": 0.3})


def words(home: Path, out: Path, *more: str) -> list[str]:
    """Words of a selection by two rungs of short trainings: five candidates, then two."""
    choice = "--by macs,halving --candidates 5 --epochs 2 --eta 2 --rungs 2".split()
    return ["select", str(home / "run"), "-o", str(out), *choice, *more]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Patches, a search of them, and a selection in one process."""
    home = tmp_path_factory.mktemp("select")
    search_stage(config_of(write_patches(home / "patches.npz")), home / "run")
    assert main(words(home, home / "one", "--processes", "1")) == 0
    return home


def results(folder: Path) -> dict[str, bytes]:
    """Every file but wall times, the name of the writer, and checkpoints."""
    files = [file for file in folder.rglob("*") if file.is_file() and not file.match(PATTERN)]
    kept = [file for file in files if file.name not in ("seconds.json", ".writer")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in kept}


def test_two_at_a_time_end_with_the_same_bytes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(home, home / "two", "--processes", "2")) == 0
    assert results(home / "two") == results(home / "one")
    assert not active_children()
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("halving, ")]
    expected = [(2, n, 5) for n in range(1, 6)] + [(4, n, 2) for n in (1, 2)]
    for line, (epochs, done, of) in zip(notes, expected, strict=True):
        text = rf"halving, to epoch {epochs}, 2 at a time: {done} of {of} done: candidate \d, to epoch {epochs}, "
        assert re.fullmatch(text + r"\d+\.\d s", line)


def test_killed_with_9_it_goes_on_to_the_same_bytes(home: Path) -> None:
    out = home / "cut"
    rungs = out / "select" / "halving.jsonl"
    for rows in (1, 4):
        process = Forked(["-m", "compactnas", *words(home, out, "--processes", "2", "--resume")])
        while process.poll() is None and len(rungs.read_text().splitlines() if rungs.exists() else ()) < rows:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)  # only the first process: the others have to notice
        assert process.wait() == -signal.SIGKILL
    assert main(words(home, out, "--processes", "2", "--resume")) == 0
    assert results(out) == results(home / "one")


def interrupted(home: Path, out: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[BaseProcess], object]) -> int:
    """Select by long trainings here, and do something as soon as two processes train."""
    wait, seen, before = workers.wait, list[BaseProcess](), active_children()

    def waiting(messages: Any) -> Any:
        if not seen:
            seen.extend(child for child in active_children() if child not in before)
            until = time.monotonic() + 60
            while len(list(out.glob("select/halving/*/train"))) < 2 and time.monotonic() < until:
                time.sleep(0.005)
            act(seen[0])
        return wait(messages)

    monkeypatch.setattr(workers, "wait", waiting)
    code = main(words(home, out, "--epochs", "500", "--processes", "2"))
    assert [process.exitcode for process in seen] == [-signal.SIGKILL] * 2
    return code


def test_ctrl_c_ends_the_trainings(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
    try:
        code = interrupted(home, tmp_path / "out", monkeypatch, lambda _: signal.raise_signal(signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 130 and capsys.readouterr().err.endswith("compactnas: interrupted; continue with --resume\n")


def test_a_process_that_is_killed_is_one_line(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert interrupted(home, tmp_path / "out", monkeypatch, lambda process: process.kill()) == 2
    assert re.fullmatch(
        r"compactnas: error: candidate [01], to epoch 500: its process ended with code -9, perhaps for lack of memory; "
        r"continue with --resume and with a smaller --processes",
        capsys.readouterr().err.splitlines()[-1],
    )


def test_a_users_mistake_in_a_training_is_one_line(home: Path, tmp_path: Path) -> None:
    data = write_patches(tmp_path / "patches.npz")

    class Losing(Silent):
        def start(self, stage: str, epochs: int, steps: int, done: int = 0) -> None:
            if stage.startswith("halving"):
                data.rename(tmp_path / "elsewhere.npz")

    choice = SelectConfig(by=("macs", "halving"), candidates=2, epochs=1, rungs=1)
    with pytest.raises(UserError, match=r"^candidate [01], to epoch 1: .*patches\.npz"):
        select_stage(config_of(data), choice, home / "run", tmp_path / "out", processes=2, listener=Losing())


def test_a_negative_number_is_one_line(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(home, tmp_path / "out", "--processes", "-1")) == 2
    assert "--processes: -1 is negative" in capsys.readouterr().err
