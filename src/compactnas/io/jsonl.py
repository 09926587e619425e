"""Read and write tables as JSON lines: one JSON object on each line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compactnas.errors import UserError
from compactnas.io.atomic import write_bytes
from compactnas.io.untrusted import parse_json, read_text

Row = dict[str, Any]
"""One line of a table."""


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write a table; other processes see the old file or the new one, never a part of it."""
    write_bytes(path, "".join(json.dumps(row) + "\n" for row in rows).encode())


def read_rows(path: Path, what: str) -> list[Row]:
    """Read a table.

    Args:
        path: The file.
        what: Next step for the user if that fails, at the end of the error message.

    Raises:
        UserError: The file cannot be read, or a line is not a JSON object.
    """
    rows = []
    for number, line in enumerate(read_text(path, what).splitlines(), 1):
        try:
            rows.append(_parse(line))
        except ValueError as error:
            raise UserError(f"{path}: line {number} is not a JSON object ({error}); {what}") from None
    return rows


def read_valid_rows(path: Path, what: str) -> tuple[list[Row], int]:
    """Read the valid lines of a table that may be damaged, and count the other ones."""
    rows, damaged = list[Row](), 0
    for line in read_text(path, what, errors="replace").splitlines():
        try:
            rows.append(_parse(line))
        except ValueError:
            damaged += 1
    return rows, damaged


def _parse(line: str) -> Row:
    row = parse_json(line)
    if not isinstance(row, dict):
        raise ValueError(f"found {line[:40]!r}")
    return row
