"""Maps of scenes in memory, against windows cut by hand, and the picture of scene, map and confidence."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compactnas.lcz import NAMES
from compactnas.mapping.arrays import map_array
from compactnas.mapping.legend import legend
from compactnas.mapping.triptych import Triptych
from compactnas.runs.task import Task

TASK = Task(("B02", "B03"), ("a", "b", "c"), 8, lcz=False)


@dataclass(frozen=True)
class Sums:
    """An engine whose probabilities are the shares of three sums over a window."""

    task: Task = TASK

    def probabilities(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        sums = np.stack([patches[:, 0].sum((1, 2)), patches[:, 1].sum((1, 2)), patches[:, 0, 0, 0]], axis=1)
        shares: NDArray[np.float32] = sums / sums.sum(axis=1, keepdims=True)
        return shares


def test_a_scene_in_memory_is_cut_as_one_on_disk() -> None:
    pixels = np.random.default_rng(0).random((2, 25, 37), np.float32)
    found = map_array(Sums(), pixels, 5)
    assert found.shape == (5, 8, 3)
    padded = np.pad(pixels, ((0, 0), (1, 12), (1, 12)), mode="reflect")  # a window begins 1 px outside of its cell
    for row in range(5):
        for column in range(8):
            window = padded[:, 5 * row : 5 * row + 8, 5 * column : 5 * column + 8]
            np.testing.assert_allclose(found[row, column], Sums().probabilities(window[None])[0], rtol=1e-5)


def test_the_picture_shows_each_cell_in_the_colour_of_its_class() -> None:
    labels = np.array([[0, 1], [8, 17]], np.uint8)
    drawn = Triptych(
        np.full((20, 20, 3), (10, 200, 30), np.uint8),
        (2.0, 2.0),
        labels,
        np.array([[0.0, 100.0], [50.0, 50.0]]),
        legend(NAMES, lcz=True),
        100.0,
        ("a $ scene", "map", "confidence"),
    ).draw()
    image = np.asarray(Image.open(BytesIO(drawn)).convert("RGB"))
    colours = {tuple(colour) for colour in image.reshape(-1, 3).tolist()}
    entries = legend(NAMES, lcz=True)
    assert (10, 200, 30) in colours and {entry.rgb for entry in entries} <= colours
    middle = image[:, image.shape[1] // 3 : 2 * image.shape[1] // 3].reshape(-1, 3)
    large = [(middle == entry.rgb).all(axis=1).sum() > 5_000 for entry in entries]
    assert [entry.number for entry, shown in zip(entries, large, strict=True) if shown] == [1, 8, 17]
