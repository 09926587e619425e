"""A headless Chromium for tests of pages, driven by Selenium; tests are skipped if either is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def headless() -> Iterator[Any]:
    """Start a browser that may load nothing but files, and end it afterwards.

    Selenium's own manager would download a missing driver; naming the driver's file keeps it from doing so.
    """
    pytest.importorskip("selenium", reason="tests of pages in a browser need selenium (the dev extra)")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("tests of pages in a browser need chromium and chromedriver (apt-get install chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield found
    finally:
        found.quit()


def resize(browser: Any, width: int, height: int, *, phone: bool = False) -> None:
    """Give the pages of a browser this size in CSS pixels, as on a desktop or on a phone with a touch screen.

    It waits for the second frame after that: scripts lay out a page anew in the first one.
    """
    metrics = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": phone})
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


def open_map(browser: Any, page: Path) -> None:
    """Open the page of a map, and wait until its script has read the layers."""
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(page.resolve().as_uri())
    ready = "return document.documentElement.hasAttribute('data-ready')"
    WebDriverWait(browser, 30).until(lambda it: it.execute_script(ready))
