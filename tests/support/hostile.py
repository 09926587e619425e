"""What files made hostile are checked with: a trap in a pickle, and a command that must refuse in one line."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from compactnas.cli import main

TRILLION = 10**12
MARKER = "sprung"
"""File that what is hidden in the files would make."""


class Trap:
    """Makes the marker where it is unpickled."""

    def __init__(self, where: Path) -> None:
        self.where = where

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.where / MARKER),)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def refused(where: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line of a command that refuses; nothing was written, run, or taken of the memory."""
    before, peak = set(where.rglob("*")), peak_mb()
    code = main(list(words))
    said = capsys.readouterr()
    assert code == 2, said
    assert said.err.startswith("compactnas: error: ") and said.err.count("\n") == 1 and len(said.err) < 1200
    assert set(where.rglob("*")) <= before, "it wrote something"
    assert not (where / MARKER).exists()
    assert peak_mb() - peak < 300
    return said.err
