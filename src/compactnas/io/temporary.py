"""Name temporary files so that they differ from all other files, and remove those of killed processes."""

from __future__ import annotations

import glob
import hashlib
import os
import platform
import re
import secrets
from pathlib import Path

MARK = "compactnas"
"""Mark in the name of every temporary file; files without it are never removed."""
PATTERN = f".*.{MARK}-*.part"
WHOSE = re.compile(rf".*\.{MARK}-(?P<machine>[0-9a-f]+)-(?P<process>[0-9]+)-[0-9a-f]+\.part")


def temporary_name(path: Path) -> Path:
    """Make a new name beside a file, for a file of this process that is not complete yet."""
    # Processes on two machines may have the same id.
    return path.with_name(f".{path.name}.{MARK}-{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.part")


def clear_temporary(folder: Path) -> None:
    """Remove all temporary files from a folder that no other process writes to, but not from the folders inside it."""
    for left in folder.glob(PATTERN):
        _remove(left)


def clear_temporary_of(path: Path) -> None:
    """Remove the temporary files of one file whose processes on this machine have ended."""
    if os.name != "posix":  # elsewhere one cannot ask for a process without harm
        return
    for left in path.parent.glob(f".{glob.escape(path.name)}.{MARK}-*.part"):
        whose = WHOSE.fullmatch(left.name)
        if whose and whose["machine"] == _machine() and not _runs(int(whose["process"])):
            _remove(left)


def _remove(left: Path) -> None:
    if left.is_file() and not left.is_symlink():
        left.unlink(missing_ok=True)


def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True  # it runs, as another user
    return True
