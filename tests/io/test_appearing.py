"""Folders that appear whole, and what a process leaves that is killed at a bad moment."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from support.tiny import Killed

from compactnas.errors import UserError
from compactnas.io import appearing as module
from compactnas.io.appearing import appearing, require_new
from compactnas.io.atomic import write_bytes
from compactnas.io.sole_writer import LOCK, remove_workplace, sole_writer, workplace
from compactnas.io.temporary import MARK, temporary_name


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def make(out: Path, *, empty: bool = False) -> None:
    with appearing(out, empty=empty) as folder:
        (folder / "file").write_text("whole")


def test_what_a_killed_process_left_beside_a_whole_folder_is_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(folder: Path) -> None:
        raise Killed

    monkeypatch.setattr(module, "remove_workplace", die)
    with pytest.raises(Killed):
        make(tmp_path / "out")
    assert names(tmp_path) == [".out.part", "out"]
    monkeypatch.undo()
    with pytest.raises(UserError, match="out: exists already; choose a new folder with --output"):
        make(tmp_path / "out")
    assert names(tmp_path) == ["out"] and (tmp_path / "out" / "file").read_text() == "whole"


def test_an_empty_folder_may_be_replaced_but_no_other_one(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="exists already"):
        make(tmp_path / "empty")
    make(tmp_path / "empty", empty=True)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for taken in ("empty", "link"):
        with pytest.raises(UserError, match="exists and is not an empty folder"):
            require_new(tmp_path / taken, empty=True)


def test_a_folder_that_another_process_made_meanwhile_is_kept(tmp_path: Path) -> None:
    def make_both() -> None:
        with appearing(tmp_path / "out") as folder:
            (folder / "mine").touch()
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "theirs").touch()

    with pytest.raises(UserError, match="exists already"):
        make_both()
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["theirs"]


def test_the_lock_of_unfinished_work_is_removed_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, left = tmp_path / "set.part", []
    unlink = Path.unlink

    def watched(path: Path, missing_ok: bool = False) -> None:
        left.append(path.name)
        unlink(path, missing_ok)

    with workplace(folder):
        for name in ("0", "a", "z", ".a", ".z"):
            (folder / name).touch()
        (folder / "deep").mkdir()
        (folder / "deep" / "file").touch()
        (folder / "link").symlink_to(tmp_path)
        monkeypatch.setattr(Path, "unlink", watched)
        remove_workplace(folder)
    assert left[-1] == LOCK and not folder.exists() and tmp_path.exists()


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.EBUSY, errno.EROFS])
def test_a_work_folder_that_cannot_be_removed_is_told_and_cleared_next_time(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise OSError(number, os.strerror(number), str(path))

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rmdir", fail)
        with pytest.raises(OSError, match=rf"{os.strerror(number)}: .*\.out\.part"):
            make(out)
    assert names(tmp_path) == [".out.part", "out"]
    with pytest.raises(UserError, match="exists already"):
        make(out)
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOTEMPTY])
def test_a_work_folder_that_is_gone_or_taken_by_the_next_process_is_no_error(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "rmdir", fail)
    make(tmp_path / "out")
    assert names(tmp_path) == [".out.part", "out"]


def test_the_half_of_a_killed_process_is_removed_when_its_file_is_written_again(tmp_path: Path) -> None:
    file, child = tmp_path / "report[1].html", os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    mine = temporary_name(file)
    dead = mine.with_name(mine.name.replace(f"-{os.getpid()}-", f"-{child}-"))
    elsewhere = mine.with_name(f".{file.name}.{MARK}-000000-{child}-00000000.part")
    others = [mine, elsewhere, temporary_name(tmp_path / "other.html"), tmp_path / f".{file.name}.part"]
    for half in (dead, *others):
        half.write_text("half")
    write_bytes(file, b"whole")
    assert names(tmp_path) == sorted([file.name, *(half.name for half in others)])
    deep = tmp_path / "deep" / dead.name
    deep.parent.mkdir()
    for half in (dead, deep):
        half.write_text("half")
    with sole_writer(tmp_path):  # here all halves are those of killed processes
        assert not dead.exists() and not elsewhere.exists() and others[-1].exists()
        write_bytes(tmp_path / "deep" / file.name, b"whole")
    assert not deep.exists()
