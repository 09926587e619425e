"""Golden runs: what seeded searches, a training and a map gave when these files were written.

Figures are pinned to a tolerance, since another processor rounds otherwise; `scripts/compare_commits` compares bytes on
one machine. A change of these figures on purpose is written with `python tests/golden/test_golden.py`.
"""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from support.map_files import job, numbers, write_model, write_scene
from support.tiny import tiny_config, write_patches

from compactnas.mapping.config import Outputs
from compactnas.mapping.mapping import make_map
from compactnas.pipeline import search_stage, train_stage
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


MADE = {name: (lambda folder, name=name: searched(name, folder)) for name in STRATEGIES} | {
    "training": trained,
    "map": mapped,
}


@cache
def golden() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(FILE.read_text())
    return values


def test_every_strategy_has_a_golden_run() -> None:
    assert golden().keys() == MADE.keys(), "write the new ones with `python tests/golden/test_golden.py`"


@pytest.mark.parametrize("name", MADE)
def test_a_seeded_run_gives_what_it_gave(name: str, tmp_path: Path) -> None:
    made = json.loads(json.dumps(MADE[name](tmp_path)))
    assert _numbers(made) == pytest.approx(_numbers(golden()[name]), rel=TOLERANCE, abs=TOLERANCE)


def _numbers(value: Any, name: str = "") -> dict[str, float]:
    """All numbers of nested values, by their places."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {key: number for k, v in items for key, number in _numbers(v, f"{name}.{k}").items()}
    return {name: float(value)}


if __name__ == "__main__":
    written = {}
    for case, make in MADE.items():
        with tempfile.TemporaryDirectory() as temporary:
            written[case] = make(Path(temporary))
    FILE.write_text(json.dumps(written, indent=1) + "\n")
