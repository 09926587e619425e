"""Name temporary files so that they differ from all other files, and remove those of killed processes."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

MARK = "compactnas"
"""Mark in the name of every temporary file; files without it are never removed."""
PATTERN = f".*.{MARK}-*.part"


def temporary_name(path: Path) -> Path:
    """Make a new name beside a file, for a file of this process that is not complete yet."""
    # Processes on two machines may have the same id.
    return path.with_name(f".{path.name}.{MARK}-{os.getpid()}-{secrets.token_hex(4)}.part")


def clear_temporary(folder: Path) -> None:
    """Remove the temporary files of killed processes from a folder, but not from the folders inside it."""
    for left in folder.glob(PATTERN):
        if left.is_file() and not left.is_symlink():
            left.unlink(missing_ok=True)
