"""Names that try to run code or to load something wherever they are shown, and what must come of them in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MARK = "sprung"
"""Global variable that the code in the names would set."""
HOST = "http://injected.test"
"""Host from which the names would load something."""
RUN = f"window.{MARK}=1"
NAMES = (
    f"</script><script>{RUN}</script>",
    f'"><img src=x onerror={RUN}>',
    f"'><svg onload={RUN}>",
    f"]]><x xmlns='http://www.w3.org/1999/xhtml'><script>{RUN}</script>",
    f"</title></style><iframe src='{HOST}/frame'></iframe>",
    f"[here](javascript:{RUN})",
    f"![seen]({HOST}/seen.png)",
    f"<{HOST}/auto> www.injected.test a@injected.test",
    f"%0a%0d<img src={HOST}/percent.png>",
    f"first line\n\n# second | line\r<b onclick={RUN}>",
    "`code` **bold** _it_ ~~gone~~ | cell | <!-- {{ 7*7 }} {% raw %}",
    "\x1b]0;title\x07\x1b[31mred\x1b[2J",
    "right \u202egnihtyna\u202c \u200fto left",
    "&lt;b&gt; &amp; &#60; \\textbf{x} $\\frac{1}$ 100% #1 ~a^b {",
    "=cmd|' /C calc'!A0",
    "[/red][bold]markup[/bold][link=http://injected.test]",
)
"""No two are alike, and none is longer than the names that readers accept."""


def assert_inert(browser: Any, page: Path, *, texts: bool = True) -> str:
    """Open a page; nothing of the names runs, nothing is asked for, and no element of theirs is there.

    Args:
        browser: Browser of `support.browser.headless`.
        page: File of the page.
        texts: Whether the page must show the names.

    Returns:
        The text of the page.
    """
    browser.get_log("browser")
    browser.get(page.resolve().as_uri())
    assert browser.execute_script(f"return typeof window.{MARK}") == "undefined"
    asked = browser.execute_script("return performance.getEntriesByType('resource').map(one => one.name)")
    assert [one for one in asked if not one.startswith(("data:", "blob:"))] == []
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    wrong = "iframe, img[src^='http'], img[src='x'], [onerror], [onload], [onclick], a[href^='javascript'], x"
    assert browser.execute_script("return document.querySelectorAll(arguments[0]).length", wrong) == 0
    links = browser.execute_script("return [...document.querySelectorAll('a, area')].map(one => one.href)")
    assert not [one for one in links if "injected.test" in one or one.startswith("javascript")]
    found: str = browser.execute_script("return document.documentElement.textContent")
    if texts:
        missing = [name for name in NAMES if on_page(name) not in on_page(found)]
        assert not missing, missing
    return found


def on_page(text: str) -> str:
    """Put a text on one line, without the characters that cannot be shown."""
    return " ".join("".join(c if c.isprintable() or c.isspace() else " " for c in text).replace("\ufffd", " ").split())
