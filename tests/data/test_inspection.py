"""Looking into sources: every count is there, and what looks wrong is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.data_files import MAKERS, Made

from compactnas.cli import main
from compactnas.config import DataConfig
from compactnas.data import open_source
from compactnas.data.inspection import look, mosaic


@pytest.fixture(params=MAKERS, ids=lambda make: make.__name__)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    return request.param(tmp_path)


def test_all_is_counted_and_shown(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen = look(open_source(made.config))
    assert seen.classes == {name: int((made.labels == i).sum()) for i, name in enumerate(made.classes)}
    assert sum(seen.groups.values()) == (0 if made.groups is None else len(made.labels))
    for place, band in enumerate(made.bands):
        values = made.images[:, place].astype(np.float64)
        assert seen.bands[band] == pytest.approx(
            {"mean": values.mean(), "std": values.std(), "min": values.min(), "max": values.max()}
        )
    sensor = ["--data.sensor", made.config.sensor] if made.config.sensor != "sen2" else []
    assert main(["inspect", made.config.path, "--mosaic", str(tmp_path / "m.png"), *sensor]) == 0
    shown = capsys.readouterr().out
    assert f"{len(made.labels)} patches of {len(made.bands)} x 8 x 8" in shown
    with Image.open(tmp_path / "m.png") as picture:
        assert picture.height == 50 * len(made.classes)
    assert main(["inspect", made.config.path, "--json", *sensor]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == seen.classes


def test_a_mosaic_shows_each_class_in_its_row(tmp_path: Path) -> None:
    images = np.zeros((4, 3, 8, 8), np.uint8)
    images[:2, 0, :4] = 200  # class 0: red above
    images[2:, 2, 4:] = 200  # class 1: blue below
    np.savez(tmp_path / "set.npz", images=images, labels=np.array([0, 0, 1, 1]))
    picture = np.asarray(mosaic(open_source(DataConfig(str(tmp_path / "set.npz")))))
    assert picture[10, 160].tolist() == [255, 0, 0] and picture[40, 160].tolist() == [0, 0, 0]
    assert picture[60, 160].tolist() == [0, 0, 0] and picture[90, 160].tolist() == [0, 0, 255]


RNG = np.random.default_rng(0)
GOOD = RNG.uniform(0.02, 0.4, (40, 2, 8, 8))
WRONG = {
    "digital numbers": (GOOD * 10000, "digital numbers, not reflectance"),
    "scaled twice": (GOOD / 10000, "divided by 10000 twice"),
    "offset taken twice": (GOOD - 0.2, "offset of -1000 was taken twice"),
    "offset left in": (GOOD + 0.1, "hold an offset of 1000"),
    "constant": (np.where(np.arange(40)[:, None, None, None] == 7, 0.1, GOOD), "hold one value alone, first in row 7"),
    "twice": (GOOD[np.r_[:39, 3]], "are there more than once, first in row 3"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_looks_wrong_is_said(tmp_path: Path, name: str) -> None:
    images, expected = WRONG[name]
    np.savez(tmp_path / "set.npz", images=images, labels=np.arange(40) % 2, band_names=np.array(["B02", "B03"]))
    assert any(expected in warning for warning in look(open_source(DataConfig(str(tmp_path / "set.npz")))).warnings)


def test_good_reflectance_is_no_warning_and_an_absent_class_is_one(tmp_path: Path) -> None:
    names = {"band_names": np.array(["B02", "B03"]), "class_names": np.array(["a", "b", "c"])}
    np.savez(tmp_path / "set.npz", images=GOOD, labels=np.arange(40) % 2, **names)
    assert look(open_source(DataConfig(str(tmp_path / "set.npz")))).warnings == ("no patch of 1 of 3 classes: c",)
