"""Polygons that people bring, and the splits that they ask for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.input_outcomes import Outcome
from support.inputs import Check, Input, Use, command, verify
from support.map_files import LEFT, TOP, numbers, write_scene

pytest.importorskip("rasterio", reason="scenes need rasterio (the map extra)")

WORDS = ("--data.window-px", "8", "--data.stride-px", "4", "--data.split")


def scene_of(folder: Path, squares: Sequence[tuple[int, int, int]]) -> Path:
    """A scene with square polygons of 8 pixels, given as (LCZ, column, row): 4 windows, 4 pixels apart, in each."""
    scene = write_scene(folder / "city.tif", numbers(96, 128))
    features = []
    for lcz, column, row in squares:
        left, top = LEFT + 10 * column, TOP - 10 * row
        ring = [[left + x, top - y] for x, y in ((0, 0), (80, 0), (80, 80), (0, 80), (0, 0))]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"lcz": lcz}, "geometry": geometry})
    crs = {"type": "name", "properties": {"name": "EPSG:32633"}}
    (folder / "city.geojson").write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    return scene


def says(*words: str) -> Check:
    def check(outcome: Outcome) -> None:
        assert all(word in outcome.get("printed", "") for word in words), outcome

    return check


def two_polygons_a_class(folder: Path) -> Use:
    squares = [(lcz, 8 + 32 * (n % 3), 8 + 32 * (n // 3)) for n, lcz in enumerate((2, 2, 5, 5, 14, 14))]
    # One polygon of each class is held out: 12 of 24 patches. They lie 32 pixels apart, so that no windows overlap.
    expected = says("0 of 12 test patches overlap one of 12 training patches")
    return command(expected, "leakage", scene_of(folder, squares), *WORDS, "group")


def neighbours(folder: Path) -> Use:
    squares = [((2, 5)[n % 2], 8 + 8 * n, 40) for n in range(12)]
    expected = says("`--data.split block --data.block-m ")
    return command(expected, "leakage", scene_of(folder, squares), *WORDS, "group")


def one_polygon(folder: Path) -> Use:
    scene = scene_of(folder, [(2, 40, 40)])
    return command(r"one group, .* use `--data\.split block` or `random`", "leakage", scene, *WORDS, "fold")


def one_square(folder: Path) -> Use:
    scene = scene_of(folder, [(2, 8, 8), (5, 72, 40)])
    message = r"block.m: one square of 50000 m holds all patches; give a smaller one, such as `--data\.block-m \d+`"
    return command(message, "leakage", scene, *WORDS, "block", "--data.block-m", 50_000)


INPUTS = (
    Input("two polygons a class, held out by `group`", two_polygons_a_class),
    Input("neighbouring polygons, held out by `group`", neighbours),
    Input("one polygon, held out by `fold`", one_polygon),
    Input("a scene smaller than a square of `block`", one_square),
)


@pytest.mark.parametrize("one", INPUTS, ids=lambda one: one.name)
def test_polygons_are_split_by_class_or_the_error_says_how(one: Input, tmp_path: Path) -> None:
    verify(one, tmp_path)
