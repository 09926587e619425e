"""One writer a folder, for as long as it is the same folder, and nothing of anybody else is removed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from support.forking import Forked

from compactnas.errors import UserError
from compactnas.io import atomic
from compactnas.io.atomic import write_bytes
from compactnas.io.sole_writer import LOCK, OWNER, sole_writer, workplace
from compactnas.io.temporary import temporary_name

HOLD = """
import sys, time
from pathlib import Path
from compactnas.io.sole_writer import sole_writer
with sole_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def held_elsewhere(folder: Path) -> Iterator[Forked]:
    """Lock a folder in another process."""
    with Forked(["-c", HOLD, folder]) as process:
        while process.poll() is None and not process.files[0].read_text():
            time.sleep(0.01)
        yield process


def test_a_second_process_is_refused_by_name_until_the_first_is_killed(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path / "run") as process:
        refused = pytest.raises(UserError, match=f"process {process.pid} on .* is writing here; wait for it")
        with refused, sole_writer(tmp_path / "run"):
            pass
    with sole_writer(tmp_path / "run"), sole_writer(tmp_path / "run"):
        write_bytes(tmp_path / "run" / "file", b"mine")


def moved(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def replaced_by_a_link(folder: Path) -> None:
    moved(folder)
    other = folder.with_name("other")
    other.mkdir()
    (other / LOCK).touch()
    folder.symlink_to(other)


def lock_replaced(folder: Path) -> None:
    (folder / LOCK).unlink()
    (folder / LOCK).touch()


@pytest.mark.parametrize(
    "change", [moved, shutil.rmtree, replaced_by_a_link, lock_replaced, lambda folder: (folder / LOCK).unlink()]
)
def test_nothing_is_written_into_a_folder_that_is_another_one_now(change: object, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with sole_writer(folder, also=[folder / "train"]):
        write_bytes(folder / "train" / "before", b"")
        change(folder)  # type: ignore[operator]
        for file in (folder / "after", folder / "train" / "after", folder / "deep" / "after"):
            with pytest.raises(UserError, match="was moved, removed or replaced while this process wrote to it"):
                write_bytes(file, b"")
            assert not file.exists()
        write_bytes(tmp_path / "beside", b"free")
    write_bytes(folder.with_name("fresh") / "after", b"")


def test_nothing_reaches_a_folder_that_gets_the_name_in_the_middle_of_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, other, name = tmp_path / "run", tmp_path / "other", atomic.temporary_name
    other.mkdir()

    def swap(path: Path) -> Path:
        folder.rename(tmp_path / "elsewhere")
        other.rename(folder)
        return name(path)

    with sole_writer(folder):
        monkeypatch.setattr(atomic, "temporary_name", swap)
        with pytest.raises(UserError, match="was moved, removed or replaced"):
            write_bytes(folder / "file", b"ours")
    assert not list(folder.iterdir())
    assert (tmp_path / "elsewhere" / "file").read_bytes() == b"ours"


@pytest.mark.parametrize(
    ("locked", "said"), [(True, "was moved, removed or replaced"), (False, "was moved or removed")]
)
def test_a_folder_that_vanishes_while_a_file_is_written_is_one_error(
    locked: bool, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, fsync = tmp_path / "run", os.fsync

    def vanish(descriptor: int) -> None:
        fsync(descriptor)
        folder.rename(tmp_path / "elsewhere")

    folder.mkdir()
    with sole_writer(folder) if locked else nullcontext():
        monkeypatch.setattr(os, "fsync", vanish)
        with pytest.raises(UserError, match=said):
            write_bytes(folder / "file", b"")
    assert not folder.exists()


def test_only_what_a_killed_process_of_ours_left_is_cleared(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "train").mkdir(parents=True)
    (run / "mine" / "deep").mkdir(parents=True)
    ours = [temporary_name(run / "model.json"), temporary_name(run / "train" / "metrics.jsonl")]
    others = [run / ".thesis.part", run / "train" / ".thesis.part", temporary_name(run / "mine" / "deep" / "x")]
    linked = temporary_name(run / "link")
    linked.symlink_to(tmp_path)
    for file in (*ours, *others):
        file.write_text("half")
    with sole_writer(run, also=[run / "train"]):
        assert [file.exists() for file in ours] == [False, False]
        assert all(file.read_text() == "half" for file in others) and linked.is_symlink()


def test_work_never_goes_into_a_folder_of_another_program(tmp_path: Path) -> None:
    folder = tmp_path / "set.part"
    folder.mkdir()
    with workplace(folder):
        (folder / "state.json").write_text("{}")
    with workplace(folder):
        assert (folder / "state.json").exists()
    (folder / LOCK).unlink()
    with pytest.raises(UserError, match=r"set\.part: holds files of another program; move it"), workplace(folder):
        pass
    assert sorted(os.listdir(folder)) == sorted([OWNER, "state.json"])  # noqa: PTH208
