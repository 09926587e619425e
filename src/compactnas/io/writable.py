"""Find out before hours of work that its result cannot be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from compactnas.errors import UserError


def require_writable(path: Path, *, is_file: bool) -> None:
    """Check that a file or a folder can be made at a path; nothing is created.

    Args:
        path: Path of the result.
        is_file: Whether the result is a file.

    Raises:
        UserError: A file is expected, and the path is that of a folder.
        OSError: The path cannot exist, its folder is read-only, or the disk is full.
    """
    place = _existing(path)
    if is_file and place == path and path.is_dir():
        raise UserError(f"{path}: is a folder; name a file with --output")
    folder = place if place.is_dir() else place.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        _fail(errno.EROFS if _is_read_only(folder) else errno.EACCES, folder)
    if _is_full(folder):
        _fail(errno.ENOSPC, folder)


def _existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    while True:
        try:
            path.stat()
        except FileNotFoundError:
            if path.is_symlink():
                _fail(errno.EEXIST, path)  # a link to nothing
            path = path.parent
        else:
            return path


def _fail(code: int, path: Path) -> None:
    raise OSError(code, os.strerror(code), str(path))


def _is_read_only(folder: Path) -> bool:
    return hasattr(os, "statvfs") and bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _is_full(folder: Path) -> bool:
    """Check for no free block; systems of files without blocks of their own say 0 of 0."""
    if not hasattr(os, "statvfs"):
        return False
    found = os.statvfs(folder)
    return found.f_blocks > 0 and found.f_bavail == 0
