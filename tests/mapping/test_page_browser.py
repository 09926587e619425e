"""The page of a map in a browser: slider, layers, pointer, keys, zoom and phone, with the values that were mapped."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.browser import headless, open_map, resize

from compactnas.mapping.legend import legend
from compactnas.mapping.overview import Overview
from compactnas.mapping.page import layers
from compactnas.mapping.page.page import Picture, write_page
from compactnas.scenes.scene import Place

rasterio = pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")

LCZ = legend((), lcz=True)
ROWS, COLUMNS = 30, 40
LABELS = (np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) % 18).astype(np.uint8)
PERCENT = np.where(LABELS > 0, 30 + LABELS * 4, 0).astype(np.uint8)
DESKTOP, PHONE = (1280, 800), (390, 844)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with headless() as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    place = Place(rasterio.CRS.from_epsg(32633), rasterio.Affine(100, 0, 384_000, 0, -100, 5_820_000), ROWS, COLUMNS)
    pixels = np.full((10 * ROWS, 10 * COLUMNS, 3), (200, 30, 90), np.uint8)
    scene = Overview(pixels, float(COLUMNS), float(ROWS), "scene.tif: true colour")
    shown = [
        layers.classes("classes", "LCZ", LABELS, LCZ, ""),
        layers.classes("filtered", "LCZ, filtered", LABELS[::-1], LCZ, ""),
        layers.confidence(PERCENT),
    ]
    return write_page(folder / "city.html", "city " + "long " * 30, place, shown, Picture.of(scene), [])


@pytest.fixture
def desktop(browser: Any, page: Path) -> Any:
    resize(browser, *DESKTOP)
    open_map(browser, page)
    return browser


@pytest.fixture
def phone(browser: Any, page: Path) -> Any:
    resize(browser, *PHONE, phone=True)
    open_map(browser, page)
    return browser


def point(browser: Any, row: int, column: int) -> tuple[int, int]:
    """Middle of a cell in the window, in CSS pixels."""
    box = browser.execute_script("return document.getElementById('stage').getBoundingClientRect().toJSON()")
    x, y = box["x"] + (column + 0.5) * box["width"] / COLUMNS, box["y"] + (row + 0.5) * box["height"] / ROWS
    return round(x), round(y)


def mouse(browser: Any, kind: str, x: int, y: int, **more: Any) -> None:
    event = {"type": kind, "x": x, "y": y, "button": "none" if kind == "mouseMoved" else "left", **more}
    browser.execute_cdp_cmd("Input.dispatchMouseEvent", event)


def touch(browser: Any, kind: str, *points: tuple[int, int]) -> None:
    event = {"type": kind, "touchPoints": [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]}
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", event)


def said(browser: Any) -> str:
    text: str = browser.find_element("id", "readout").text
    return text


def colour_at(browser: Any, x: int, y: int) -> tuple[int, ...]:
    shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
    image = Image.open(io.BytesIO(base64.b64decode(shot))).convert("RGB")
    times = image.width / browser.execute_script("return innerWidth")
    return tuple(image.getpixel((int(x * times), int(y * times))))


def slide(browser: Any, percent: int) -> None:
    script = (
        "const slider = document.getElementById('opacity'); slider.value = arguments[0];"
        "slider.dispatchEvent(new Event('input', {bubbles: true}));"
    )
    browser.execute_script(script, percent)


def logged(browser: Any) -> list[Any]:
    return [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.mark.parametrize(("row", "column"), [(0, 1), (12, 23), (29, 39)])
def test_the_pointer_shows_the_class_of_its_cell(desktop: Any, row: int, column: int) -> None:
    mouse(desktop, "mouseMoved", *point(desktop, row, column))
    text, value = said(desktop), LABELS[row, column]
    assert f"LCZ {LCZ[value - 1].text}" in text
    assert f"LCZ, filtered {LCZ[LABELS[29 - row, column] - 1].text}" in text
    assert f"Confidence {30 + value * 4} %" in text
    assert f"EPSG:32633 {384_050 + 100 * column}, {5_819_950 - 100 * row} m" in text
    assert f"column {column + 1}, row {row + 1}" in text
    assert logged(desktop) == []


def test_the_position_is_that_of_proj(desktop: Any) -> None:
    from rasterio.warp import transform

    mouse(desktop, "mouseMoved", *point(desktop, 12, 23))
    (x,), (y,) = transform("EPSG:32633", "EPSG:4326", [384_000 + 2350], [5_820_000 - 1250])
    assert f"position {y:.4f}° N, {x:.4f}° E" in said(desktop)


def test_a_cell_without_a_class_says_so(desktop: Any) -> None:
    mouse(desktop, "mouseMoved", *point(desktop, 0, 0))
    assert "LCZ none" in said(desktop) and "Confidence none" in said(desktop)


def test_the_slider_fades_the_layer_over_the_scene(desktop: Any) -> None:
    at = point(desktop, 12, 5)
    zone = np.array(LCZ[LABELS[12, 5] - 1].rgb)
    scene = np.array((200, 30, 90))
    for percent in (100, 0, 40):
        slide(desktop, percent)
        assert desktop.find_element("id", "over").value_of_css_property("opacity") == f"{percent / 100:g}"
        assert f"{percent} %" in desktop.find_element("id", "percent").text
        expected = zone * percent / 100 + scene * (1 - percent / 100)
        assert np.abs(np.array(colour_at(desktop, *at)) - expected).max() <= 3  # JPEG


def test_layers_are_switched_with_their_legends(desktop: Any) -> None:
    slide(desktop, 100)
    choices = desktop.find_elements("css selector", "input[name=layer]")
    at = point(desktop, 3, 5)
    for choice, plane in zip(choices[:2], (LABELS, LABELS[::-1]), strict=True):
        choice.click()
        assert colour_at(desktop, *at) == LCZ[plane[3, 5] - 1].rgb
        shown = [card.get_attribute("id") for card in desktop.find_elements("css selector", ".legend")]
        visible = [card.is_displayed() for card in desktop.find_elements("css selector", ".legend")]
        assert shown[visible.index(True)] == f"legend-{choice.get_attribute('value')}" and sum(visible) == 1
    choices[1].send_keys("\ue015")  # the arrow key down
    assert choices[2].is_selected() and desktop.find_element("id", "legend-confidence").is_displayed()


def test_a_row_of_the_legend_shows_its_cells_alone(desktop: Any) -> None:
    slide(desktop, 100)
    button = desktop.find_elements("css selector", "#legend-classes .pick")[4]
    button.send_keys("\ue007")
    assert button.get_attribute("aria-pressed") == "true"
    (row, column), *_ = np.argwhere(LABELS[10:] == 5).tolist()
    assert colour_at(desktop, *point(desktop, row + 10, column)) == LCZ[4].rgb
    assert max(colour_at(desktop, *point(desktop, row + 10, column + 1))) < 90
    button.click()
    assert colour_at(desktop, *point(desktop, row + 10, column + 1)) == LCZ[5].rgb


def test_keys_move_the_cell_and_zoom(desktop: Any) -> None:
    view = desktop.find_element("id", "view")
    view.send_keys("\ue012")  # the arrow key to the left, from the cell in the middle
    value = LABELS[15, 19]
    assert f"LCZ {LCZ[value - 1].text}" in said(desktop) and "column 20, row 16" in said(desktop)
    before = desktop.find_element("id", "stage").size["width"]
    view.send_keys("+")
    assert desktop.find_element("id", "stage").size["width"] == pytest.approx(1.5 * before, abs=1)
    view.send_keys("0")
    assert desktop.find_element("id", "stage").size["width"] == pytest.approx(before, abs=1)


def test_the_wheel_zooms_at_the_pointer_and_dragging_moves_the_map(desktop: Any) -> None:
    at = point(desktop, 12, 23)
    length = desktop.find_element("id", "length").text
    mouse(desktop, "mouseWheel", *at, deltaX=0, deltaY=-800)
    assert np.abs(np.subtract(point(desktop, 12, 23), at)).max() <= 2
    assert desktop.find_element("id", "length").text != length
    mouse(desktop, "mousePressed", *at, clickCount=1)
    mouse(desktop, "mouseMoved", at[0] + 30, at[1] + 20, buttons=1, button="left")
    mouse(desktop, "mouseReleased", at[0] + 30, at[1] + 20, clickCount=1)
    assert np.abs(np.subtract(point(desktop, 12, 23), (at[0] + 30, at[1] + 20))).max() <= 2


def test_the_scale_bar_has_its_length(desktop: Any) -> None:
    bar = desktop.find_element("id", "bar").size["width"]
    number, unit = desktop.find_element("id", "length").text.split()
    metres = float(number) * {"m": 1, "km": 1000}[unit]
    assert bar / desktop.find_element("id", "stage").size["width"] == pytest.approx(metres / (100 * COLUMNS), rel=0.02)


def test_a_phone_taps_pinches_and_does_not_scroll_sideways(phone: Any) -> None:
    at = point(phone, 20, 30)
    touch(phone, "touchStart", at)
    touch(phone, "touchEnd")
    assert f"LCZ {LCZ[LABELS[20, 30] - 1].text}" in said(phone)
    before = phone.find_element("id", "stage").size["width"]
    x, y = point(phone, 15, 20)
    touch(phone, "touchStart", (x - 30, y), (x + 30, y))
    touch(phone, "touchMove", (x - 60, y), (x + 60, y))
    touch(phone, "touchEnd")
    assert phone.find_element("id", "stage").size["width"] == pytest.approx(2 * before, rel=0.05)
    for width in (390, 360, 320):
        resize(phone, width, 844, phone=True)
        assert phone.execute_script("return document.documentElement.scrollWidth") <= width
    assert logged(phone) == []


def test_each_control_has_a_name(desktop: Any) -> None:
    for control in desktop.find_elements("css selector", "button, input, .view"):
        if control.is_displayed():
            assert control.accessible_name.strip(), control.get_attribute("outerHTML")
    assert json.loads(desktop.execute_script("return document.getElementById('data').textContent"))["columns"] == 40
