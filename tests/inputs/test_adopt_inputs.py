"""Networks that people bring: ONNX files of other software."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.foreign import BANDS, OPTIONS, SIDE, foreign_probabilities, means, node, write_foreign
from support.inputs import Input, Outcome, Use, assert_note, command, verify
from support.map_files import BANDS as SCENE_BANDS
from support.map_files import numbers, write_scene

pytest.importorskip("rasterio", reason="scenes need rasterio (the map extra)")
pytest.importorskip("onnx", reason="the `export` extra is not installed")
pytest.importorskip("onnxruntime", reason="the `export` extra is not installed")

FOUR = ("--bands", "B02,B03,B04,B08", "--classes", "a,b,c,d", "--scale", "1")


def bands_last(folder: Path) -> Use:
    from compactnas.cli import main

    network = write_foreign(folder / "theirs.onnx")
    assert main(["adopt", str(folder / "theirs.onnx"), "-o", str(folder / "theirs"), *OPTIONS]) == 0
    pixels = numbers(36, 46)
    scene = write_scene(folder / "city.tif", pixels)
    taken = pixels[[SCENE_BANDS.index(band) for band in BANDS]] / np.float32(10_000)
    places = [[(row, column) for column in range(0, 46 - SIDE + 1, 10)] for row in range(0, 36 - SIDE + 1, 10)]
    windows = [[taken[:, r : r + SIDE, c : c + SIDE] for r, c in row] for row in places]
    expected = [(foreign_probabilities(network, np.stack(row)).argmax(1) + 1).tolist() for row in windows]

    def check(outcome: Outcome) -> None:
        assert outcome.get("cells") == expected, outcome.get("error", "other cells")
        assert_note(outcome, "")

    words = ("map", folder / "theirs", scene, "-o", folder / "map", "--edges", "leave")
    return command(check, *words, maps=folder / "map")


def adopting(model: Any, folder: Path, expect: str, *words: str) -> Use:
    """Adopt a model that cannot be used."""
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return command(expect, "adopt", folder / "model.onnx", "-o", folder / "theirs", *(words or FOUR))


def another_number_of_bands(folder: Path) -> Use:
    ten = ",".join(SCENE_BANDS)
    expect = r"--bands: names 10 bands, but .* takes 4 \(its input is any x 4 x 8 x 8\); name those"
    return adopting(means(), folder, expect, "--bands", ten, *FOUR[2:])


def a_sigmoid(folder: Path) -> Use:
    model = means(node("Sigmoid", "logits", "scores"))
    return adopting(model, folder, "do not sum to 1, as after a sigmoid; export it without this last step")


def training_mode(folder: Path) -> Use:
    model = means(node("Dropout", "logits share yes", "scores"), share=np.array(0.5, np.float32), yes=np.array(True))
    return adopting(model, folder, r"in training mode does; export it in evaluation mode \(model.eval\(\)\)")


INPUTS = (
    Input("ONNX network of torch, bands last, digital numbers, its own normalisation", bands_last),
    Input("ONNX network for another number of bands", another_number_of_bands),
    Input("ONNX network that ends in a sigmoid", a_sigmoid),
    Input("ONNX network exported in training mode", training_mode),
)


@pytest.mark.parametrize("one", INPUTS, ids=lambda one: one.name)
def test_an_input_gives_the_right_windows_or_says_why_not(one: Input, tmp_path: Path) -> None:
    verify(one, tmp_path)
