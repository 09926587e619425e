"""Gaps: fills are recognised by their shape, and a pixel is valid or not whatever window it is read in."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.map_files import BANDS, numbers, write_product, write_raster, write_scene

from compactnas.config.reading import Reading
from compactnas.errors import UserError
from compactnas.scenes.gaps import fills_of, find_gaps, in_squares
from compactnas.scenes.reading import open_scene, with_gaps
from compactnas.scenes.scene import Window
from compactnas.scenes.survey import survey

pytest.importorskip("rasterio", reason="scenes need rasterio (the map extra)")

NAMES = ("B02", "B03", "B04")
DATA = Reading(caller="data")


def squares_by_hand(mask: np.ndarray, side: int) -> np.ndarray:
    """Try each square of this side, also those that reach over the edge but have their middle inside."""
    height, width = mask.shape
    kept, half = np.zeros_like(mask), side // 2
    for row in range(height):
        for column in range(width):
            part = np.s_[max(0, row - half) : row + half + 1, max(0, column - half) : column + half + 1]
            if mask[part].all():
                kept[part] = True
    return kept


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 7]), st.floats(0.5, 0.98))
def test_squares_are_those_of_a_plain_search(seed: int, side: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((14, 17)) < share
    np.testing.assert_array_equal(in_squares(mask, side), squares_by_hand(mask, side))


@settings(max_examples=25, deadline=None)
@given(
    value=st.sampled_from([0, 65535]),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    row=st.integers(1, 20),
    column=st.integers(1, 20),
)
def test_a_fill_is_a_square_of_three_pixels(value: int, height: int, width: int, row: int, column: int) -> None:
    pixels = numbers(30, 30, 3)
    pixels[:, row : row + height, column : column + width] = value
    pixels[:, 28, 28] = value  # counts only if there is a square elsewhere
    with TemporaryDirectory() as folder, open_scene(write_scene(Path(folder) / "a.tif", pixels, NAMES), (), DATA) as it:
        found = survey(it)
    large = min(height, width) >= 3
    assert found.fills == ({float(value): height * width + 1} if large else {})


def test_fills_fit_the_type_of_the_numbers() -> None:
    assert fills_of([np.dtype("uint8")]) == (0, 255)
    assert fills_of([np.dtype("uint16")]) == (0, 65535)
    assert fills_of([np.dtype("int16")]) == (0, -999, -9999, -32768)
    assert {0, -9999, 65535, 1e20} < set(fills_of([np.dtype("float32")]))


def test_numbers_mark_bands_and_0_marks_regions() -> None:
    pixels = np.full((2, 9, 9), 5, np.uint16)
    pixels[0, :3, :3] = 0  # a region of one band
    pixels[1, 6, 6] = 0  # a dark roof
    pixels[:, 8, 0] = 0  # all bands
    pixels[1, 4, 4] = 7  # declared
    gaps = find_gaps(pixels, (None, 7.0), (0.0,))
    expected = np.zeros((2, 9, 9), bool)
    expected[0, :3, :3] = expected[1, 4, 4] = True
    np.testing.assert_array_equal(gaps.marked, expected)
    assert np.argwhere(gaps.blank[0.0]).tolist() == [[8, 0]]


def holed(folder: Path) -> list[tuple[Path, Reading]]:
    """A scene with holes of many kinds, and a product with bands of 20 m that are interpolated."""
    pixels = numbers(50, 60)
    pixels[3, 10:17, 30:37] = 0
    pixels[:, 30:34, 11:40] = 0
    pixels[5, 20, 20] = 0
    scene = write_scene(folder / "s.tif", pixels, nodata=0)
    product = write_product(folder / "p.SAFE", pixels, offset=0, coarse=("B05", "B12"))
    return [(scene, Reading()), (product, Reading(resampling="bilinear"))]


@pytest.mark.parametrize("which", [0, 1])
def test_a_pixel_is_the_same_in_any_window(which: int, tmp_path: Path) -> None:
    path, reading = holed(tmp_path)[which]
    with open_scene(path, BANDS, reading) as scene:
        values, valid = scene.read(Window(0, 0, 50, 60))
        assert not valid[31, 12] and not valid[13, 33] and valid[20, 21]
        rng = np.random.default_rng(0)
        for _ in range(40):
            row, column = (int(rng.integers(0, most)) for most in (45, 55))
            height, width = (int(rng.integers(1, most + 1)) for most in (50 - row, 60 - column))
            part, shown = scene.read(Window(row, column, height, width))
            inside = np.s_[row : row + height, column : column + width]
            np.testing.assert_array_equal(shown, valid[inside])
            np.testing.assert_array_equal(part[:, shown], values[:, *inside][:, shown])


def test_named_fills_are_not_searched_for(tmp_path: Path) -> None:
    pixels = numbers(30, 30, 3)
    pixels[:, 4:8, 4:8] = 65535
    path = write_raster(tmp_path / "a.tif", pixels, descriptions=NAMES)
    found, notes = with_gaps(path, NAMES, DATA)
    assert found.nodata == "65535" and "16 pixels hold 65535" in notes[0]
    assert with_gaps(path, NAMES, found) == (found, ())
    for nodata, valid in (("-", 900), ("65535", 884), ("0,65535", 884)):
        with open_scene(path, NAMES, Reading(nodata=nodata)) as scene:
            assert scene.read(Window(0, 0, 30, 30))[1].sum() == valid


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"nodata": "none"}, "--nodata: 'none' is no list of numbers"),
        ({"nodata": "x", "caller": "data"}, "data.nodata: 'x' is no list"),
        ({"scale": 0.0, "caller": "data"}, "data.scale: 0 is not above 0"),
        ({"cloud_classes": "a", "caller": "data"}, "data.cloud_classes: 'a'"),
        ({"offset": float("inf")}, "--offset: inf is not a finite number"),
    ],
)
def test_a_wrong_option_is_named_as_it_was_typed(options: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Reading(**options)  # type: ignore[arg-type]
