"""Make a folder that appears complete or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compactnas.io.sole_writer import workplace


@contextmanager
def appearing(out: Path) -> Iterator[Path]:
    """Yield a folder inside a hidden one next to `out`. At the end it is renamed to `out`, or removed after an error.

    Remains of a killed process are removed first. While another process makes `out`, a `UserError` is raised.
    """
    beside = out.with_name(f".{out.name}.part")
    with workplace(beside):
        folder = beside / "whole"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
            folder.rename(out)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
