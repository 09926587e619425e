"""The rule by which `--mode auto` takes the dense mode or the exact one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from compactnas.mapping import modes
from compactnas.mapping.boundary_correction import BoundaryCorrection
from compactnas.mapping.dense import COLUMNS, TILE, USED, tiles_of
from compactnas.mapping.gain import LEARNING, LEAST_GAIN, LIKELY, gain
from compactnas.mapping.grid import Grid, block_shape


def grid_of(side_px: int, step: int = 10) -> Grid:
    return Grid(side_px // step, side_px // step, step, 32, 0)


def test_the_gain_is_the_work_of_the_exact_mode_over_that_of_the_dense_mode() -> None:
    """A scene so large that the sample does not count: a block of 48 rows, in strips of 64 columns."""
    rows, columns = block_shape(tall=True)[0], COLUMNS
    windows = (10 * rows + 22 + 32) * (10 * columns + 22 + 32) / 32**2
    assert gain(grid_of(200_000), 0.0) == pytest.approx(rows * columns / windows, rel=0.01)
    assert gain(grid_of(200_000), 0.25) == pytest.approx(1 / (0.25 + windows / (rows * columns)), rel=0.01)
    small, tile = grid_of(1200), (10 * TILE + 22 + 32) ** 2 / 32**2
    sampling = (tiles_of(small) * (USED + tile) + LEARNING) / 120**2
    shared = (10 * 48 + 54) * (10 * 64 + 54) / 32**2 / (48 * 64)
    assert gain(small, 0.1) == pytest.approx(1 / (0.1 + shared + sampling), rel=0.01)


def test_it_falls_with_doubt_with_slow_maps_and_on_small_scenes_and_coarse_cells() -> None:
    assert gain(grid_of(3000), 0.05) > gain(grid_of(3000), 0.3) > gain(grid_of(3000), 0.9)
    assert gain(grid_of(6000), 0.05) > gain(grid_of(3000), 0.05) > gain(grid_of(600), 0.05)
    assert gain(grid_of(3000), 0.05) > gain(grid_of(3000), 0.05, slower=3.0)
    assert gain(grid_of(1200), LIKELY) < LEAST_GAIN < gain(grid_of(3000), 0.2)
    assert gain(grid_of(3000, step=32), 0.0) < 1 < LEAST_GAIN < gain(grid_of(3000), 0.05)


def test_auto_takes_the_mode_that_pays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gain too small before the sample; too few tiles; then doubt in most cells; then in few."""
    pytest.importorskip("rasterio")
    from support.map_files import contents, job, numbers, write_model, write_scene

    from compactnas.mapping.config import MapConfig, Outputs
    from compactnas.mapping.mapping import make_map

    model, scene = write_model(tmp_path / "run"), write_scene(tmp_path / "scene.tif", numbers(96, 96))

    def mapped(name: str, mode: str) -> tuple[dict[str, object], list[str]]:
        warned: list[str] = []
        config = MapConfig(mode=mode)  # type: ignore[arg-type]
        what = job(model, scene, config=config)
        about = make_map(what, tmp_path / name, Outputs(name="map"), lambda done, total: None, warned.append)
        return about, warned

    exact, _ = mapped("exact", "exact")
    with monkeypatch.context() as patch:
        patch.setattr(modes, "learn_correction", None)  # there is no sample
        small, warned = mapped("small", "auto")
    assert "dense" not in small and small["config"]["mode"] == "auto"  # type: ignore[index]
    assert any("--mode auto: on this scene the dense mode is at most" in text for text in warned)
    assert contents(tmp_path / "small") == contents(tmp_path / "exact")
    assert exact["cells"] == small["cells"]
    with monkeypatch.context() as patch:
        patch.setattr(modes, "gain", lambda grid, alone, slower: 8.0)
        few, warned = mapped("few", "auto")
    assert "dense" not in few
    assert any("--mode auto: too few neighbourhoods" in text and "using the exact mode" in text for text in warned)

    learnt = {"alone": 0.9}

    def correction(*_: object) -> BoundaryCorrection:
        ridge = {"mean": [0.0] * 336, "deviation": [1.0] * 336, "weights": [[0.0] * 17] * 336, "bias": [0.0] * 17}
        raw = {"ridge": ridge, "least_margin": 2.0, "agreement": 0.985, "judged_alone": learnt["alone"]}
        return BoundaryCorrection.from_json(json.loads(json.dumps(raw)))

    monkeypatch.setattr(modes, "learn_correction", correction)
    monkeypatch.setattr(modes, "gain", lambda grid, alone, slower: 8 / (1 + 8 * alone))
    doubtful, warned = mapped("doubtful", "auto")
    assert "dense" not in doubtful
    assert any("90.0 % of cells would be judged alone" in text and "using the exact mode" in text for text in warned)
    learnt["alone"] = 0.05
    dense, warned = mapped("dense", "auto")
    assert dense["dense"] == {"judged_alone": 0.05, "agreement": 0.985}
    assert any("--mode auto: 5.0 % of cells will be judged alone" in text for text in warned)
    np.testing.assert_equal(contents(tmp_path / "dense")["map_lcz.tif"], contents(tmp_path / "exact")["map_lcz.tif"])
