"""Options with which a selection or a front began; resuming needs the same ones."""

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
    """Note what is asked for, or check that it is what was asked for before; one field is free.

    Errors:
        UserError: it is not.
    """
    now = json.loads(json.dumps(asdict(choice) | {"searches": [str(folder) for folder in folders]}))
    if file.exists():
        before = read_json(file, AGAIN)
        key = first_difference(before | {free: now[free]} if isinstance(before, dict) else {}, now)
        if key:
            raise UserError(f"{file}: differs from what is given in {key}; resume with the same, or {AGAIN}")
    write_json(file, now)
