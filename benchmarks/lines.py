"""Files of results that grow by a line for each finished job, and may end in the middle of a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Line = dict[str, Any]
"""A finished job, with a name that no other has."""


def whole_lines(file: Path) -> list[Line]:
    """Read the finished lines; one that was interrupted is left out. If two have the same name, the last one counts."""
    lines = [json.loads(line) for line in _whole(file).splitlines()]
    return list({line["name"]: line for line in lines}.values())


def add_lines(file: Path, lines: Sequence[Line]) -> None:
    """Append lines, each with its name, after the last finished one."""
    with file.open("ab") as stream:
        stream.truncate(len(_whole(file)))
        stream.write("".join(json.dumps(line) + "\n" for line in lines).encode())


def _whole(file: Path) -> bytes:
    content = file.read_bytes() if file.exists() else b""
    return content[: content.rfind(b"\n") + 1]
