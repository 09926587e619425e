"""Say when a run was finished and how long it took; older runs kept no times."""

from __future__ import annotations

from datetime import UTC, datetime

from compactnas.io.atomic import read_json
from compactnas.io.durations import duration
from compactnas.reporting.run.reading import AGAIN, RunFolder
from compactnas.runs.seconds import FILE

STAGES = {"search": "search", "train": "training"}


def seconds_of(run: RunFolder, stage: str) -> float | None:
    """Read the wall time of a stage; None if it was not kept."""
    file = run.path / stage / FILE
    seconds = read_json(file, AGAIN) if file.exists() else None
    return float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < 1e9 else None


def time_facts(run: RunFolder) -> tuple[tuple[str, str], ...]:
    """List the date at which the last stage was finished, and the duration of each stage, as (name, value).

    The date is that of the file with the duration.
    """
    known = {stage: seconds for stage in STAGES if (seconds := seconds_of(run, stage)) is not None}
    if not known:
        return ()
    changed = max((run.path / stage / FILE).stat().st_mtime for stage in known)
    parts = [f"{STAGES[stage]} {duration(seconds)}" for stage, seconds in known.items()]
    machine = run.config.get("machine")
    threads = (machine.get("threads") if isinstance(machine, dict) else 0) or run.environment.get("threads")
    where = run.environment.get("gpu") or (f"{threads} CPU thread{'s' * (threads != 1)}" if threads else "")
    return (
        ("finished", datetime.fromtimestamp(changed, UTC).strftime("%Y-%m-%d")),
        ("duration", ", ".join(parts) + f" on {where}" * bool(where)),
    )
