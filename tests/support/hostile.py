"""Helpers for tests with hostile files: a trap in a pickle, and a check that a command refuses in one line."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from compactnas.cli import main

TRILLION = 10**12
MARKER = "sprung"
"""File that code hidden in the files would create."""


class Trap:
    """Object that creates the marker when it is unpickled."""

    def __init__(self, where: Path) -> None:
        self.where = where

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.where / MARKER),)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def refused(where: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Check that a command refuses without writing, running code or taking memory; return its line of error."""
    before, peak = set(where.rglob("*")), peak_mb()
    code = main(list(words))
    said = capsys.readouterr()
    assert code == 2, said
    assert said.err.startswith("compactnas: error: ") and said.err.count("\n") == 1 and len(said.err) < 1200
    assert set(where.rglob("*")) <= before, "the command wrote a file"
    assert not (where / MARKER).exists()
    assert peak_mb() - peak < 300
    return said.err
