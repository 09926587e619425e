"""Faults of the machine and inputs that are no files: one line with exit code 2, at once, and nothing imported."""

from __future__ import annotations

import errno
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from support.forking import finish

from compactnas.cli import main
from compactnas.cli.command import COMMANDS
from compactnas.data.source import Facts
from compactnas.data.split_csv import read_split_csv
from compactnas.errors import UserError


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run a command that must fail, and return its one line."""
    assert main([str(word) for word in words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def outputs_of(command: str) -> list[str]:
    """Arguments of a command that must be given in order, and its output."""
    given = command in ("run", "search", "train")
    actions = (COMMANDS[command].build("paper") if given else COMMANDS[command].build())._actions
    return [one.dest for one in actions if not one.option_strings or one.dest == "output"]


@pytest.fixture
def patches(tmp_path: Path) -> Path:
    np.savez(tmp_path / "patches.npz", images=np.zeros((12, 4, 8, 8), np.float32), labels=np.arange(12) % 3)
    return tmp_path / "patches.npz"


@pytest.mark.parametrize("command", ["train", "prepare", "synth"])
def test_an_output_that_cannot_be_made_is_one_line(
    command: str, patches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    train = ("--model", "resnet8", "--data.path", patches, "--data.split", "random", "--output")
    words = {"train": ("train", *train), "prepare": ("prepare", patches), "synth": ("synth", "--output")}[command]
    for output in (tmp_path / "file" / "run", tmp_path / ("a" * 300), tmp_path / "loop" / "run"):
        line = refused(capsys, *words, output)
        assert line.startswith("compactnas: error: ") and str(tmp_path) in line, line


WRITERS = sorted(name for name in COMMANDS if "output" in outputs_of(name) or "destination" in outputs_of(name))


def test_all_commands_that_write_are_known() -> None:
    assert {"run", "study", "map", "predict", "synth", "prepare", "export", "assess", "scene", "demo"} <= set(WRITERS)


@pytest.mark.parametrize("command", WRITERS)
def test_what_cannot_be_written_is_found_before_the_work(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The inputs do not exist, and each command would say so next."""
    (tmp_path / "file").touch()
    full = tmp_path / "full"
    full.mkdir()
    inputs = ["no such input"] * (len(outputs_of(command)) - 1)
    option = [] if "destination" in outputs_of(command) else ["--output"]
    assert "file/x: not a directory; name a writable folder" in refused(
        capsys, command, *inputs, *option, tmp_path / "file" / "x"
    )
    monkeypatch.setattr("os.access", lambda path, how: Path(path) != full)
    assert f"{full}: permission denied" in refused(capsys, command, *inputs, *option, full / "deep" / "x")
    monkeypatch.undo()
    monkeypatch.setattr("compactnas.io.writable._is_full", lambda folder: folder == full)
    assert f"{full}: no space left on device; free some" in refused(capsys, command, *inputs, *option, full / "x")
    assert not any(full.iterdir())


@pytest.mark.parametrize("command", ["predict", "report", "bench", "leakage", "latency"])
def test_a_folder_is_no_file_for_a_result(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = ["no such input"] * (len(outputs_of(command)) - 1)
    assert "is a folder; name a file with --output" in refused(capsys, command, *inputs, "--output", tmp_path)


def test_every_error_of_the_system_is_one_line(
    patches: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, remedy in ((errno.EMFILE, "ulimit -n"), (errno.EIO, "check the disk"), (errno.ENOSPC, "free some")):

        def fail(*_: object, code: int = number) -> None:
            raise OSError(code, os.strerror(code), "somewhere")

        monkeypatch.setattr("compactnas.data.opening.format_of", fail)
        assert remedy in refused(capsys, "inspect", patches)

    def no_memory(*_: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: 8 bytes")

    monkeypatch.setattr("compactnas.data.opening.format_of", no_memory)
    assert "out of memory" in refused(capsys, "inspect", patches)


@pytest.mark.parametrize("where", ["--config", "--space", "--data"])
def test_neither_a_pipe_nor_inline_text_names_a_class(
    where: str, patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trap.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('sprung').touch()\nclass X: ..."
    )
    monkeypatch.syspath_prepend(tmp_path)
    words = ("train", "--model", "resnet8", "--data.path", patches, "--output", tmp_path / "run", where)
    inner = "{class_path: trap.X}"
    assert "cannot name a class" in refused(capsys, *words, f"{{space: {inner}}}" if where == "--config" else inner)
    read, write = os.pipe()
    os.write(write, b"class_path: trap.X\n")
    os.close(write)
    assert "is not a file" in refused(capsys, *words, f"/dev/fd/{read}")
    os.close(read)
    assert not (tmp_path / "sprung").exists()


def test_a_pipe_is_refused_at_once(patches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "images" / "a").mkdir(parents=True)
    os.mkfifo(tmp_path / "images" / "a" / "1.png")
    assert "is neither a file nor a folder" in refused(capsys, "inspect", tmp_path / "pipe")
    assert "1.png: is not a file" in refused(capsys, "inspect", tmp_path / "images")
    split = ("--data.split", "csv", "--data.split_csv", tmp_path / "pipe")
    assert "pipe is not a file" in refused(capsys, "leakage", patches, *split)


def test_a_split_file_takes_little_memory(tmp_path: Path) -> None:
    facts = Facts("numbers", ("a",), ("x", "y"), 8, np.zeros(2, np.int64), keys=["a", "b"])
    long, many = tmp_path / "long.csv", tmp_path / "many.csv"
    with long.open("wb") as file:
        file.write(b"path,split\n")
        file.seek(2**31)  # one line of two GiB, most of it a hole
        file.write(b",train\n")
    many.write_text("path,split\na,train\n" + "a,test\n" * 1_000_000)
    tracemalloc.start()
    with pytest.raises(UserError, match="has a line of more than 65536 characters"):
        read_split_csv(long, facts)
    with pytest.raises(UserError, match="line 3: a is listed twice"):
        read_split_csv(many, facts)
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_a_seed_of_any_size_and_a_name_that_is_no_text(patches: Path, tmp_path: Path) -> None:
    words = ["-m", "compactnas", "train", "--model", "resnet8", "--data.path", patches, "--output", tmp_path / "run"]
    done = finish([*words, "--seed", str(2**64)], check=False)
    assert done.returncode == 2 and "--seed: 18446744073709551616 does not fit in 64 bits" in done.stderr
    done = finish(["-m", "compactnas", "inspect", os.fsdecode(b"\xff\xfe.npz")], check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "does not exist" in done.stderr


BACKEND = """
import sys
from compactnas.cli import entry
sys.argv = ["compactnas", "--version"]
try:
    entry()
except SystemExit:
    import matplotlib.figure
    print(matplotlib.get_backend())
"""


def test_a_drawing_backend_of_the_environment_is_ignored() -> None:
    done = finish(["-c", BACKEND], {**os.environ, "MPLBACKEND": "bogus"})
    assert done.stdout.splitlines()[-1].lower() == "agg"
