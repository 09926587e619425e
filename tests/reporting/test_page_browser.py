"""The page of runs in a browser: nothing is cut at the width of a desktop or a phone; plain figures look the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from support.browser import headless, resize
from support.fake_run import NASNET_CELL, write_baseline, write_examples, write_run

from compactnas.reporting.figures.plain import plain_figure
from compactnas.reporting.figures.svg import standalone
from compactnas.reporting.run.figures import figures_of
from compactnas.reporting.run.page import write_report
from compactnas.reporting.run.reading import read_run

OUTSIDE = """
const wide = document.documentElement.clientWidth + 1, found = [];
for (const one of document.querySelectorAll("body *")) {
  const box = one.getBoundingClientRect();
  if (!box.width || (box.right <= wide && box.left >= -1)) continue;
  let scrolls = false;
  for (let above = one.parentElement; above && above !== document.body; above = above.parentElement)
    scrolls ||= getComputedStyle(above).overflowX === "auto" && above.getBoundingClientRect().right <= wide;
  if (!scrolls) found.push(one.tagName + " " + one.textContent.slice(0, 40));
}
return [document.documentElement.scrollWidth, document.documentElement.clientWidth, found];
"""
"""Elements that reach beyond the viewport, except those in a box that scrolls and is inside it itself."""
STYLE = ("fill", "fillOpacity", "stroke", "strokeWidth", "strokeDasharray", "opacity", "fontSize", "fontWeight")
STYLES = """
return [...document.querySelectorAll("svg rect, svg path, svg circle, svg text, svg tspan")].map(one => {
  const style = getComputedStyle(one); return arguments[0].map(name => style[name]); });
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with headless() as found:
        yield found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs with all that a page can show."""
    home = tmp_path_factory.mktemp("runs")
    first = write_run(home / "a_folder_with_a_very_long_name_without_a_single_space_in_it", NASNET_CELL, epochs=4)
    raw = json.loads((first / "evaluation.json").read_text())
    bins = {"patches": [10, 90], "confidence": [0.4, 0.9], "accuracy": [0.5, 0.8]}
    (first / "evaluation.json").write_text(json.dumps(raw | {"reliability": bins}))
    write_examples(first)
    return [first, write_baseline(home / "resnet8", "resnet8", 0.6, 13_530_000, 79_300)]


@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_is_wider_than_the_viewport(browser: Any, runs: list[Path], width: int, tmp_path: Path) -> None:
    page = write_report(runs, tmp_path / "page.html")
    assert page.stat().st_size < 2_000_000
    resize(browser, width, 900, phone=width < 600)
    browser.get(page.resolve().as_uri())
    whole, seen, outside = browser.execute_script(OUTSIDE)
    assert whole == seen and outside == []
    forms = "return [...document.querySelectorAll('figure.wide, figure.narrow')].map(one => one.offsetWidth > 0)"
    assert browser.execute_script(forms)[:2] == [width > 600, width < 600]
    loaded = "return [...document.images].every(one => one.complete && one.naturalWidth > 0) && document.images.length"
    assert browser.execute_script(loaded) == 34


def test_plain_figures_have_the_colours_of_the_page(browser: Any, runs: list[Path], tmp_path: Path) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": "light"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    resize(browser, 1440, 900)
    for name, figure in figures_of(read_run(runs[0])).items():
        styles = []
        for kind, text in (("page", standalone(figure)), ("plain", ET.tostring(plain_figure(figure), "unicode"))):
            file = tmp_path / f"{name}-{kind}.html"
            file.write_text(f"<!doctype html><meta charset=utf-8><body>{text}")
            browser.get(file.as_uri())
            found = browser.execute_script(STYLES, STYLE)
            styles.append([one for one in found if one])
        styles[0][0] = styles[1][0]  # the ground: that of the page has the class of a card
        assert styles[0] == styles[1], name
