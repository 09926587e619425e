"""Make a folder that appears complete or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from compactnas.errors import UserError
from compactnas.io.sole_writer import remove_workplace, require_own, workplace


def require_new(out: Path, *, empty: bool = False) -> None:
    """Check that a folder can appear. What a process left that was killed after it was complete is removed.

    Args:
        out: The folder.
        empty: Whether it may exist if it is empty.

    Raises:
        UserError: The folder exists.
    """
    if not out.exists() and not out.is_symlink():
        return
    if empty and out.is_dir() and not any(out.iterdir()):
        return
    beside = _beside(out)
    if beside.is_dir():
        with suppress(UserError), workplace(beside):
            remove_workplace(beside)
    what = "exists and is not an empty folder" if empty else "exists already"
    raise UserError(f"{out}: {what}; choose a new folder with --output")


@contextmanager
def appearing(out: Path, *, empty: bool = False) -> Iterator[Path]:
    """Yield a folder inside a hidden one next to `out`. At the end it is renamed to `out`, or removed after an error.

    Remains of a killed process are removed first. While another process makes `out`, a `UserError` is raised.

    Args:
        out: The folder.
        empty: Whether it may exist if it is empty.

    Raises:
        UserError: The folder exists, another process makes it, or it was moved meanwhile.
    """
    require_new(out, empty=empty)
    beside = _beside(out)
    with workplace(beside):
        require_new(out, empty=empty)  # another process may have made it meanwhile
        folder = beside / "whole"
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
        try:
            yield folder
            require_own(folder)
            require_new(out, empty=empty)
            if out.exists():
                out.rmdir()
            folder.rename(out)
        except BaseException:
            with suppress(OSError, UserError):
                remove_workplace(beside)
            raise
        remove_workplace(beside)


def _beside(out: Path) -> Path:
    return out.with_name(f".{out.name}.part")
