"""Keep the options of a selection or a front, because resuming needs the same ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from compactnas.errors import UserError
from compactnas.io.atomic import read_json, write_json
from compactnas.runs.folder import first_difference
from compactnas.selection.config import FrontConfig, SelectConfig

AGAIN = "name a new folder"


def require_same_choice(file: Path, choice: SelectConfig | FrontConfig, folders: Sequence[Path], free: str) -> None:
    """Write the options to a file, or check that they equal those in it. The field `free` may differ.

    Raises:
        UserError: An option differs.
    """
    now = json.loads(json.dumps(asdict(choice) | {"searches": [str(folder) for folder in folders]}))
    if file.exists():
        before = read_json(file, AGAIN)
        key = first_difference(before | {free: now[free]} if isinstance(before, dict) else {}, now)
        if key:
            raise UserError(f"{file}: differs from the given options in {key}; resume with the same value, or {AGAIN}")
    write_json(file, now)
