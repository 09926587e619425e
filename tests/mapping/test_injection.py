"""Names that try to run code, in the files and the page of a map: opened in a browser, by parsers and by GDAL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from support.browser import headless, open_map
from support.injection import NAMES, assert_inert, on_page
from support.map_files import BANDS, job, numbers, write_model, write_raster

from compactnas.mapping.config import MapConfig, Outputs
from compactnas.mapping.mapping import make_map

rasterio = pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")


def ignore(*_: object) -> None: ...


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map of a network with such classes, over a scene with such tags and file name."""
    folder = tmp_path_factory.mktemp("injected")
    model = write_model(folder / "run", BANDS, NAMES, lcz=False)
    scene = write_raster(folder / "'><img src=x onerror=window.sprung=1>.tif", numbers(64, 64), descriptions=BANDS)
    with rasterio.open(scene, "r+") as raster:
        raster.update_tags(**{f"TAG{number}": name for number, name in enumerate(NAMES) if name.isprintable()})
    make_map(job(model, scene, config=MapConfig(stride_px=16)), folder / "map", Outputs(name="city"), ignore, ignore)
    return folder / "map"


def test_the_style_of_qgis(made: Path) -> None:
    entries = ET.parse(made / "city_classes.qml").findall(".//paletteEntry")
    assert [on_page(entry.get("label") or "") for entry in entries] == [on_page(name) for name in NAMES]
    assert {entry.tag for entry in ET.parse(made / "city_classes.qml").iter()} & {"script", "x", "svg", "img"} == set()


def test_the_names_beside_the_map(made: Path) -> None:
    found = ET.parse(made / "city_classes.tif.aux.xml").findall(".//Category")
    assert [on_page(entry.text or "") for entry in found] == ["", *map(on_page, NAMES)]


def test_the_names_in_the_map_as_gdal_reads_them(made: Path) -> None:
    with rasterio.open(made / "city_classes.tif") as raster:
        tags = raster.tags(1)
    assert [on_page(tags[f"CLASS_{number}"]) for number in range(1, len(NAMES) + 1)] == list(map(on_page, NAMES))
    with rasterio.open(made / "city_probabilities.tif") as raster:
        assert list(map(on_page, raster.descriptions)) == list(map(on_page, NAMES))
    classes = json.loads((made / "map.json").read_text())["classes"]
    assert [entry["name"] for entry in classes] == [name.strip() for name in NAMES]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with headless() as found:
        yield found


def test_the_page(made: Path, browser: Any) -> None:
    assert_inert(browser, made / "city.html")
    open_map(browser, made / "city.html")  # its own script runs, and has all names
    stage = browser.find_element("id", "stage").rect
    labels = rasterio.open(made / "city_classes.tif").read(1)
    row, column = np.argwhere(labels > 0)[0]
    height, width = labels.shape
    x, y = stage["x"] + (column + 0.5) * stage["width"] / width, stage["y"] + (row + 0.5) * stage["height"] / height
    browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": round(x), "y": round(y)})
    assert on_page(NAMES[labels[row, column] - 1]) in on_page(browser.find_element("id", "readout").text)
    assert browser.execute_script("return typeof window.sprung") == "undefined"
