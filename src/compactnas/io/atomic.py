"""Write files atomically.

Every file is written under a temporary name and then renamed, so that readers see the old file or the new one,
never a part of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from compactnas.errors import UserError
from compactnas.io.sole_writer import require_own
from compactnas.io.temporary import clear_temporary_of, temporary_name
from compactnas.io.untrusted import parse_json, read_text


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically.

    The folder is held open meanwhile, so that nothing reaches another folder that gets its name.

    Raises:
        UserError: The folder was moved or removed meanwhile, or this process had locked it and it is another one now.
        OSError: The system refuses to write the file; the error names it.
    """
    if not require_own(path):
        clear_temporary_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _held(path.parent) as folder:
            require_own(path)
            _write(path, content, folder)
            if folder is not None and not os.path.samestat(os.fstat(folder), path.parent.stat()):
                raise FileNotFoundError
    except FileNotFoundError as error:
        require_own(path)
        raise UserError(f"{path.parent}: was moved or removed meanwhile; put it back, and try again") from error
    except OSError as error:  # an error of a descriptor names no file, and the temporary name would say little
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextmanager
def _held(folder: Path) -> Iterator[int | None]:
    """Open a folder; None on a system where files cannot be named relative to it."""
    if os.open not in os.supports_dir_fd:
        yield None
        return
    descriptor = os.open(folder, getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes, folder: int | None) -> None:
    """Write a file under a temporary name in an open folder, and rename it."""
    beside, target = temporary_name(path), path
    if folder is not None:
        beside, target = Path(beside.name), Path(path.name)
    try:
        with open(beside, "wb", opener=lambda name, flags: os.open(name, flags, 0o666, dir_fd=folder)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target, src_dir_fd=folder, dst_dir_fd=folder)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(beside, dir_fd=folder)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically."""
    write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: Path, what: str) -> Any:
    """Read a JSON file. If that fails, the error message ends with `what`, the next step for the user."""
    text = read_text(path, what)
    try:
        return parse_json(text)
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); {what}") from None
