"""Real pixels, from search to evaluation, through the readers that everybody uses."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from tiny import tiny_config

from compactnas.config import DataConfig
from compactnas.data.world import write_world
from compactnas.pipeline import run


def test_berlin_in_so2sats_layout_and_the_made_world_go_the_same_way(shared: Path, tmp_path: Path) -> None:
    write_world(tmp_path / "world", cities=2, test_cities=1, patches=120, scene_px=264, seed=3)
    sources = {
        "berlin": DataConfig(path=str(shared / "data" / "lcz_berlin" / "berlin_so2sat_layout.h5"), split="random"),
        "world": DataConfig(path=str(tmp_path / "world")),
    }
    for name, data in sources.items():
        evaluation = run(replace(tiny_config(tmp_path), data=data), tmp_path / name)
        assert len(evaluation.classes) == 17
        assert evaluation.measures.oa_built_natural is not None
        assert evaluation.n > 10
    assert evaluation.measures.classes_present == 17


def test_berlin_cut_by_a_csv(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "lcz_berlin" / "berlin_so2sat_layout.h5"
    shutil.copy(source, tmp_path / "berlin.h5")
    with h5py.File(source) as file:
        labels = np.argmax(file["label"][:], axis=1)
    assert set(labels) == {1, 4}  # LCZ 2 and 5 only
    with (tmp_path / "split.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "split"])
        writer.writerows([f"berlin.h5/{row}", "test" if row % 3 == 0 else "train"] for row in range(len(labels)))
    data = DataConfig(path=str(tmp_path / "berlin.h5"), split="csv", split_csv=str(tmp_path / "split.csv"))
    evaluation = run(replace(tiny_config(tmp_path), data=data), tmp_path / "run")
    assert evaluation.measures.classes_present == 2
    assert evaluation.n == len(range(0, len(labels), 3))
