"""Checks for the HTML pages of reports."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "br", "img", "input", "link", "hr"}


class Page(HTMLParser):
    """Strictly parsed page: tags nest and close, and no tag repeats an attribute."""

    def __init__(self, file: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.source = file.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in {tag}"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"{tag} closed but not open"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        """Text of the whole page."""
        return " ".join(" ".join(self.words).split())

    def values(self, name: str) -> list[str]:
        """Return all values of an attribute."""
        return [value or "" for _, attributes in self.tags for key, value in attributes.items() if key == name]


def assert_stands_alone(page: Page) -> None:
    """Check that the page runs no code and loads no other file."""
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "image", "iframe", "object", "embed", "use"})
    assert all(value.startswith("#") for value in page.values("href"))
    assert all(re.fullmatch(r"data:image/png;base64,[\w+/=]+", value) for value in page.values("src"))
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    source = re.sub(r'src="data:[^"]*"', "", page.source)
    assert not re.search(r"https?:|url\(|@import|//[a-z]", source)
    assert "default-src 'none'" in page.source


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}\x00\x1b]0;x\x07&amp;"
