"""A network takes patches with its bands and classes by name, and no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compactnas.data import Facts
from compactnas.data.arrays import array_source
from compactnas.errors import UserError
from compactnas.io.atomic import write_json
from compactnas.nn.registry import FILE, ModelSpec
from compactnas.runs.fitting import require_fit
from compactnas.runs.task import Task

BANDS, CLASSES = ("B02", "B03", "B04", "B08"), ("water", "forest", "town")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_json(tmp_path / FILE, ModelSpec("resnet8", 4, 3, 16).to_json())
    Task(BANDS, CLASSES, 16, lcz=False).write(tmp_path)
    return tmp_path


def facts(bands: tuple[str, ...] = BANDS, classes: tuple[str, ...] = CLASSES, px: int = 16) -> Facts:
    images = np.zeros((6, len(bands), px, px), np.float32)
    return array_source(images, np.arange(6) % len(classes), classes=classes, bands=bands).facts


def test_the_same_names_fit_in_any_spelling(run: Path) -> None:
    assert require_fit(run, facts()) == CLASSES
    assert require_fit(run, facts(("blue", "green", "B4", "nir"))) == CLASSES
    assert require_fit(run, facts(("band1", "band2", "band3", "band4"), ("0", "1", "2"))) == CLASSES


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (facts(BANDS[:2]), "2 bands .* but the model takes 4; choose the bands with --data.bands"),
        (facts(BANDS[::-1]), "has the bands B08, B04, B03, B02, but the model takes B02, B03, B04, B08; name these"),
        (facts(px=8), "has patches of 8 px, but the model takes 16 px"),
        (facts(classes=("a", "b")), "2 classes, but the model predicts 3"),
        (facts(classes=("forest", "water", "town")), "has the class 'forest' where the model has 'water'"),
    ],
)
def test_what_does_not_fit_is_one_line(run: Path, given: Facts, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        require_fit(run, given)
    assert "\n" not in str(caught.value)


def test_patches_without_known_classes_get_those_of_the_network(run: Path) -> None:
    other = replace(facts(), classes=tuple(f"site{number}" for number in range(20)))
    assert require_fit(run, other, labelled=False) == CLASSES


def test_a_short_training_of_a_find_has_numbers_only(run: Path) -> None:
    (run / "task.json").unlink()
    assert require_fit(run, facts(("a", "b", "c", "d"))) == CLASSES
