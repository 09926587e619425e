"""Write study files for tests."""

from __future__ import annotations

from pathlib import Path

import yaml

from support.tiny import write_patches

SMALL = {
    "recipe": "smoke",
    "search_split": "random",
    "splits": ["official", "random"],
    "methods": ["S", "S+C+D"],
    "baselines": ["resnet8"],
    "searches": 2,
    "retrainings": 2,
    "space": {"channels": 4, "max_depth": 2, "nodes": 3},
    "search": {"epochs": 2, "batch_size": 16, "alpha_learning_rate": 0.05},
    "train": {"epochs": 1, "batch_size": 16},
    "machine": {"device": "cpu", "threads": 1},
}


def write_study(where: Path, **changes: object) -> Path:
    data = write_patches(where / "patches.npz")
    file = where / "study.yaml"
    values = SMALL | {"data": {"path": str(data), "validation_fraction": 0.1}} | changes
    file.write_text(yaml.safe_dump(values))
    return file
