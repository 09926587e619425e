"""Study files for tests."""

from __future__ import annotations

from pathlib import Path

import yaml

from support.tiny import write_patches


def write_study(where: Path, **changes: object) -> Path:
    data = write_patches(where / "patches.npz")
    file = where / "study.yaml"
    values = SMALL | {"data": {"path": str(data), "validation_fraction": 0.1}} | changes
    file.write_text(yaml.safe_dump(values))
    return file
