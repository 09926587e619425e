"""Navigation of the site: pages stay plain Markdown, and a new page is found without a line here.

A page that no section names is a how-to page. A page `TOPIC-more.md` stands below `TOPIC.md` if that page exists.
"""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HOW_TO = "How-to"

SECTIONS: dict[str, list[str]] = {
    "Get started": ["install", "demo", "tutorial", "tutorial-polygons", "classifier", "python"],
    HOW_TO: [
        *("data", "scene", "maps", "assess", "calibration", "budgets", "find", "export", "select", "study", "folds"),
        *("devices", "so2sat"),
    ],
    "Notebooks": ["notebooks/*"],
    "Reference": [
        *("cli", "config", "api", "inputs", "output-files", "metrics", "exit-codes", "glossary"),
        *("troubleshooting", "platforms"),
    ],
    "Explanation": [
        *("method", "layouts", "strategies", "cures", "performance", "world", "gallery"),
        *("interruptions", "attack"),
    ],
    "Results": ["results"],
    "Lab notebook": ["log"],
    "Project": ["contributing", "changelog", "security"],
}
"""Heading of the sidebar -> its pages in order; `notebooks/*` takes all pages of a folder."""

FOLDERS = {"log": "lab/*"}
"""Page -> the pages of a folder that stand below it, the newest name first."""


def pages_of(section: str, pages: set[str]) -> list[str]:
    """List the pages of a section; those of the how-to section end with the pages that no section names."""
    found = _matching(SECTIONS[section], pages)
    if section == HOW_TO:
        named = {page for patterns in SECTIONS.values() for page in _matching(patterns, pages)}
        rest = pages - named - set(_matching(list(FOLDERS.values()), pages)) - {"index"}
        found += sorted(page for page in rest if parent_of(page, pages) is None)
    return found


def parent_of(page: str, pages: set[str]) -> str | None:
    """Find the page above `TOPIC-more`: the longest `TOPIC` that is a page."""
    parts = page.split("-")
    above = ("-".join(parts[:length]) for length in range(len(parts) - 1, 0, -1))
    return next((name for name in above if name in pages), None)


def children_of(page: str, pages: set[str]) -> list[str]:
    """List the pages below a page, except those that a section names."""
    if page in FOLDERS:
        return _matching([FOLDERS[page]], pages)
    named = {name for patterns in SECTIONS.values() for name in _matching(patterns, pages)}
    return sorted(name for name in pages - named if parent_of(name, pages) == page)


def _matching(patterns: list[str], pages: set[str]) -> list[str]:
    return [
        page
        for pattern in patterns
        for page in sorted(pages, reverse=True)
        if page == pattern or ("*" in pattern and fnmatch(page, pattern))
    ]


def _toctree(pages: list[str], caption: str = "") -> str:
    lines = ["```{toctree}", ":hidden:", f":caption: {caption}" if caption else ":maxdepth: 1", ""]
    return "\n".join([*lines, *(f"/{page}" for page in pages), "```"])


def _add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    pages = set(app.env.found_docs)
    if page == "index":
        trees = [_toctree(pages_of(section, pages), section) for section in SECTIONS]
        source[0] = "\n\n".join([source[0], *trees])
    elif below := children_of(page, pages):
        source[0] = "\n\n".join([source[0], _toctree(below)])


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the navigation after other extensions have written their pages."""
    app.connect("source-read", _add_navigation, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
