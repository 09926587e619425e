"""Make the table of a sweep."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from support.sweep.sweeping import (
    FAULTS,
    KILL,
    REFUSED,
    SAME,
    UNNOTICED,
    WRONG,
    read_points,
)


def table(file: Path) -> str:
    """Write the points of a file as a Markdown table, a row for each command."""
    counts = {
        row["command"]: row["operations"]
        for row in map(json.loads, file.read_text().splitlines())
        if "operations" in row
    }
    latest = {(point.command, point.fault, point.at): point for point in read_points(file)}
    rest = " | ".join((*FAULTS[1:], SAME, REFUSED, UNNOTICED, WRONG.lower()))
    lines = [
        f"| Command | Operations | {KILL} | distinct states | {rest} |",
        "|---|" + "---:|" * 11,
    ]
    for command, operations in counts.items():
        points = [point for point in latest.values() if point.command == command]
        tried, came = Counter(point.fault for point in points), Counter(point.outcome for point in points)
        states = len({point.state for point in points if point.fault == KILL})
        cells = [command, operations, tried[KILL], states, *(tried[fault] for fault in FAULTS[1:])]
        cells += [came[outcome] for outcome in (SAME, REFUSED, UNNOTICED, WRONG)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)
