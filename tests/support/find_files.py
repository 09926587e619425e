"""Patches of several places, and a plan so small that a whole find takes seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compactnas.config import RunConfig
from compactnas.finding.config import PLANNED, FindConfig
from compactnas.finding.plan import STAGES, Plan, Speed
from compactnas.finding.planning import TimedPlan
from compactnas.runs.folder import config_values
from support.tiny import tiny_config, write_patches

GROUP, TEST = 8, 3
"""Patches of a group; every third group is a test group."""

SMALL: dict[str, object] = {"nodes": 3, "blocks": 2}

SEARCH: dict[str, object] = {"max_macs": 60e3, "strategy": "effects", "candidates": 2, "skip_limit": "limit"}
"""The strategy of the recipe, with few networks to measure."""

PLAN = Plan(
    folds=2,
    searches=2,
    search_epochs=2,
    candidates=8,
    ranked_rows=16,
    calibration=16,
    entrants=4,
    controls=1,
    rungs=(1, 2),
    teachers=2,
    epochs=2,
)

TIMED = TimedPlan(PLAN, Speed(*[1.0] * 6), dict.fromkeys(STAGES, 1.0), 1.0)

CHOICE = FindConfig(folds=2)


def write_places(file: Path, patches: int = 96) -> Path:
    """Write the patches of `support.tiny` in groups of eight, a third of them for the test."""
    write_patches(file, patches)
    with np.load(file) as archive:
        arrays = dict(archive)
    number = np.arange(patches) // GROUP
    arrays["group"] = np.array([f"place{one:02d}" for one in number])
    arrays["split"] = np.where(number % TEST == 2, "test", "train")
    np.savez(file, **arrays)
    return file


def find_config(data: Path, **search: object) -> RunConfig:
    """Make the config of a find of such patches."""
    train: dict[str, object] = {"average_last": 0.5, "radiometric_jitter": 0.1}
    return tiny_config(data, space=SMALL, search=SEARCH | search, train=train)


def options_of(config: RunConfig) -> dict[str, object]:
    """Return the values of a config that `compactnas find --config` takes: all but those that its plan sets."""
    values = config_values(config)
    for part, fields in PLANNED.items():
        values[part] = {name: value for name, value in values[part].items() if name not in fields}
    return values


WORDS = (
    "--machine.threads 1 --machine.device cpu --space.channels 4 --space.max-depth 2 --space.nodes 3 --space.blocks 2 "
    "--search.candidates 2 --search.batch-size 16 "
    "--train.batch-size 16 --max-macs 60k --folds 2"
)
"""Similar options on the command line, over those of the recipe."""

SAME = (
    *("genotype.json", "model.safetensors", "evaluation.json", "train/metrics.jsonl"),
    *("find/candidates.jsonl", "find/ranking.jsonl", "find/halving/rungs.jsonl", "find/halving/ensemble.json"),
    *("find/plan.json", "find/result.json", "find/report.txt", "find/folds.npz"),
    *("find/searches/0/search/metrics.jsonl", "find/searches/1/genotype.json"),
)
"""Files of a find that must not differ after an interruption."""
