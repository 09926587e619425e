"""Seconds that a stage took, in a file of its own, so that all other files are the same in each repetition."""

from __future__ import annotations

from math import inf
from pathlib import Path

from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_json

FILE = "seconds.json"


def read_seconds(folder: Path) -> float:
    """Read the seconds of a stage; 0 without the file."""
    file = folder / FILE
    found = read_json(file, "remove it") if file.exists() else 0.0
    if type(found) not in (int, float) or not 0 <= found < inf:
        raise UserError(f"{file}: holds no number of seconds; remove it")
    return float(found)


def add_seconds(folder: Path, seconds: float) -> None:
    """Add to the seconds of a stage."""
    write_json(folder / FILE, round(read_seconds(folder) + seconds, 3))
