"""Files of results that grow by a line for each finished job, and may end in the middle of a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Line = dict[str, Any]
"""A finished job, with a name that no other has."""


def whole_lines(file: Path) -> list[Line]:
    """Read the lines, and cut off one that was interrupted; of two lines of one name the last one counts."""
    if not file.exists():
        return []
    text = file.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole)
    lines = [json.loads(line) for line in whole.splitlines()]
    return list({line["name"]: line for line in lines}.values())


def add_lines(file: Path, lines: Sequence[Line]) -> None:
    """Append lines, each with its name."""
    with file.open("a", encoding="utf-8") as stream:
        stream.write("".join(json.dumps(line) + "\n" for line in lines))
