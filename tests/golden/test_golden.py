"""Golden runs: what seeded searches, a training and a map gave when these files were written.

Figures are pinned to a tolerance, since another processor rounds otherwise; `scripts/compare_commits` compares bytes on
one machine. `python tests/golden/test_golden.py NAME ...` writes the named runs anew, and those of built-in strategies
that are missing. All other runs keep their figures, so that no regression is written with them.
"""

from __future__ import annotations

import json
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

sys.path.insert(0, str(Path(__file__).parents[1]))  # pytest does this itself; the command above does not
from support.forking import run_file
from support.map_files import job, numbers, write_model, write_scene
from support.tiny import tiny_config, write_patches

from compactnas.mapping.config import Outputs
from compactnas.mapping.mapping import make_map
from compactnas.pipeline.running import search_stage, train_stage
from compactnas.search.strategies import STRATEGIES

FILE = Path(__file__).with_name("golden.json")
TOLERANCE = 2e-3
"""Largest difference of a loss, an accuracy or a probability between two families of processors."""


def searched(strategy: str, folder: Path) -> dict[str, Any]:
    """Losses of both epochs and the probabilities of the operations after a search."""
    config = tiny_config(write_patches(folder / "patches.npz"), search={"strategy": strategy, "candidates": 4})
    search_stage(config, folder / "run")
    rows = [json.loads(line) for line in (folder / "run/search/metrics.jsonl").read_text().splitlines()]
    alpha = json.loads((folder / "run/search/alpha.json").read_text())
    losses = [[row[key] for key in ("loss_weights", "loss_alpha") if key in row] for row in rows]
    return {"losses": losses, "probabilities": alpha["probabilities"], "depths": alpha["depth_probabilities"]}


def trained(folder: Path) -> dict[str, Any]:
    """Losses and validation accuracies of a training."""
    train_stage(tiny_config(write_patches(folder / "patches.npz")), folder / "run", "resnet8")
    rows = [json.loads(line) for line in (folder / "run/train/metrics.jsonl").read_text().splitlines()]
    return {"losses": [row["loss"] for row in rows], "validation": [row["validation_oa"] or 0.0 for row in rows]}


def mapped(folder: Path) -> dict[str, Any]:
    """Classes of a map, its probabilities summed over the cells."""
    model, scene = write_model(folder / "run"), write_scene(folder / "scene.tif", numbers(96, 96))
    make_map(job(model, scene), folder / "map", Outputs(), lambda *_: None, lambda _: None)
    layers = {}
    for file in sorted((folder / "map").glob("*.tif")):
        with rasterio.open(file) as opened:
            values = opened.read().astype(np.float64)
        layers[file.name] = [values.shape, float(values[np.isfinite(values)].mean())]
    return {"layers": layers}


PINNED = (*STRATEGIES.first, "training", "map")
"""Runs that must have figures: those of built-in strategies, of a training and of a map."""

MADE = {name: (lambda folder, name=name: searched(name, folder)) for name in STRATEGIES} | {
    "training": trained,
    "map": mapped,
}


@cache
def golden() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(FILE.read_text())
    return values


def test_every_built_in_strategy_has_a_golden_run() -> None:
    missing = [name for name in PINNED if name not in golden()]
    assert not missing, f"no golden run of {', '.join(missing)}; write it with `python tests/golden/test_golden.py`"


@pytest.mark.parametrize("name", golden())
def test_a_seeded_run_gives_what_it_gave(name: str, tmp_path: Path) -> None:
    made = json.loads(json.dumps(MADE[name](tmp_path)))
    assert _numbers(made) == pytest.approx(_numbers(golden()[name]), rel=TOLERANCE, abs=TOLERANCE)


def test_the_command_writes_nothing_that_is_neither_missing_nor_named() -> None:
    before = FILE.read_bytes()
    run_file(__file__)
    assert FILE.read_bytes() == before


def _numbers(value: Any, name: str = "") -> dict[str, float]:
    """All numbers of nested values, by their places."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {key: number for k, v in items for key, number in _numbers(v, f"{name}.{k}").items()}
    return {name: float(value)}


if __name__ == "__main__":
    written = golden()
    for case in [name for name in MADE if name in sys.argv[1:] or (name in PINNED and name not in written)]:
        with tempfile.TemporaryDirectory() as temporary:
            written[case] = MADE[case](Path(temporary))
    FILE.write_text(json.dumps(written, indent=1) + "\n")
