"""Inputs that people bring, and that worked already."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.inputs import Input, Use, train, verify, windows
from support.map_files import LEFT, TOP, numbers, write_scene

pytest.importorskip("rasterio", reason="scenes need rasterio (the map extra)")


def _square(column: int, row: int, side: int) -> list[list[float]]:
    """Ring of a square of whole pixels of a test scene, in its coordinates."""
    left, top = LEFT + 10 * column, TOP - 10 * row
    right, bottom = left + 10 * side, top - 10 * side
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def old_crs_member(folder: Path) -> Use:
    write_scene(folder / "city.tif", numbers())
    feature = {
        "type": "Feature",
        "properties": {"lcz": 2},
        "geometry": {"type": "Polygon", "coordinates": [_square(40, 40, 10)]},
    }
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    (folder / "city.geojson").write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    # The grid of 10 pixels starts at pixel 5: one of its points lies in the square, at row 45 and column 45.
    return train(windows({"city.tif/29/29": 2}), path=folder / "city.tif")


INPUTS = (Input("GeoJSON with an old `crs` member", old_crs_member),)


@pytest.mark.parametrize("one", INPUTS, ids=lambda one: one.name)
def test_an_input_gives_the_right_windows_or_says_why_not(one: Input, tmp_path: Path) -> None:
    verify(one, tmp_path)
