"""Give one process at a time the right to write to a folder, for as long as it is the same folder.

A lock belongs to a file, but files are written by path. If the folder is renamed, or its lock file removed, the path
may lead to the folder of another process. So `require_own` compares the lock with the path before each write.
"""

from __future__ import annotations

import errno
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from compactnas.errors import UserError
from compactnas.io.temporary import clear_temporary

LOCK, OWNER = ".lock", ".writer"
"""Lock file of a folder, and the file with the name of its owner for error messages."""

_HELD: dict[Path, tuple[Path, tuple[int, int]]] = {}
"""Lock file of each folder that this process writes to, with its device and inode."""


@contextmanager
def workplace(folder: Path, *, also: Sequence[Path] = ()) -> Iterator[None]:
    """Lock a folder that holds unfinished work and is removed at the end.

    Args:
        folder: Folder of the work; created if it does not exist.
        also: Further folders that belong to the same lock and may hold temporary files.

    Raises:
        UserError: Another process is writing to the folder, or it holds files that are not such work.
    """
    if folder.is_dir() and not (folder / LOCK).exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: holds files of another program; move it, or choose another output")
    with sole_writer(folder, also=also):
        yield


@contextmanager
def sole_writer(folder: Path, *, wait_s: float = 0.0, also: Sequence[Path] = ()) -> Iterator[None]:
    """Lock a folder, so that no other process writes to it. The lock ends with the process.

    Removes the temporary files that a killed process has left.

    Args:
        folder: Folder to write to; created if it does not exist.
        wait_s: Seconds to wait for another process to finish.
        also: Further folders that belong to the same lock and may hold temporary files.

    Raises:
        UserError: Another process is writing to the folder.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: not a folder; choose a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    # A job of a study locks its folder, and each of its stages locks the same folder again.
    lock = FileLock(folder / LOCK, is_singleton=True)
    try:
        lock.acquire(timeout=wait_s)
    except Timeout:
        raise UserError(f"{folder}: {_owner(folder)} is writing here; wait for it, or choose another folder") from None
    places = [_absolute(one) for one in (folder, *also)]
    outermost = lock.lock_counter == 1
    try:
        if outermost:
            _HELD.update(dict.fromkeys(places, (places[0] / LOCK, _identity(folder / LOCK))))
            (folder / OWNER).write_text(f"process {os.getpid()} on {platform.node()}\n", encoding="utf-8")
            for place in places:
                clear_temporary(place)
        yield
    finally:
        if outermost:
            for place in places:
                _HELD.pop(place, None)
        lock.release()


def remove_workplace(folder: Path, last: str = "") -> None:
    """Remove a folder of unfinished work that this process has locked, with everything in it.

    The lock file goes last. If the process is killed before, the next one still finds a folder of ours.

    Args:
        folder: Folder of unfinished work.
        last: Name of a file that goes after all others but the lock, because it describes the work.

    Raises:
        OSError: The folder cannot be removed. It is no error if it is gone, or if the next process has taken it.
        UserError: The folder was moved or replaced.
    """
    require_own(folder / LOCK)
    for inner in sorted(folder.iterdir(), key=lambda inner: inner.name == last):
        if inner.name == LOCK:
            continue
        if inner.is_dir() and not inner.is_symlink():
            shutil.rmtree(inner)
        else:
            inner.unlink(missing_ok=True)
    try:
        (folder / LOCK).unlink()
        folder.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        taken = error.errno in (errno.ENOTEMPTY, errno.EEXIST)  # the next process has its lock there already
        kept_open = os.name == "nt" and isinstance(error, PermissionError)  # Windows keeps the lock while we hold it
        if not taken and not kept_open:
            raise


def require_own(path: Path) -> bool:
    """Check that a path which is about to be written still leads into the folder that this process has locked.

    Returns:
        Whether the file lies in such a folder itself, from which the temporary files of killed processes were removed.

    Raises:
        UserError: The locked folder was renamed, removed or replaced.
    """
    whole = _absolute(path)
    for folder, (lock, identity) in _HELD.items():
        if whole.is_relative_to(folder):
            try:
                same = _identity(lock) == identity
            except OSError:
                same = False
            if not same:
                raise UserError(
                    f"{folder}: was moved, removed or replaced while this process wrote to it; put it back and resume, "
                    "or choose another folder"
                )
    return whole.parent in _HELD


def _absolute(path: Path) -> Path:
    """Make a path absolute, but keep its links, so that a changed link is noticed."""
    return Path(os.path.abspath(path))  # noqa: PTH100 (`resolve` follows links)


def _identity(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_dev, found.st_ino


def _owner(folder: Path) -> str:
    with suppress(OSError, ValueError):
        return (folder / OWNER).read_text(encoding="utf-8").strip()[:100] or "another process"
    return "another process"
