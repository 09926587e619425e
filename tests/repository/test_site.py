"""The documentation site: builds without a warning, every link leads somewhere, every entry has its place."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import compactnas
from compactnas.cli.command import COMMANDS
from compactnas.cli.parser import PARTS

MOST_WORDS, MOST_README_LINES = 900, 120
GENERATED = {"cli", "config", "api", "glossary", "inputs"}
"""Reference pages that the code or a script writes; they may be long."""


class Page(HTMLParser):
    """Links and anchors of one page of the site."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.anchors: set[str] = {""}
        self.links: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.add(value)


@pytest.fixture(scope="module")
def site(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site as `scripts/site` does, and return its folder."""
    for module, package in (("sphinx", "sphinx"), ("myst_nb", "myst-nb"), ("furo", "furo")):
        pytest.importorskip(module, reason=f"the site needs {package} (the docs extra)")
    out = tmp_path_factory.mktemp("site") / "html"
    command = re.search(r"-m sphinx (.*) \"\$@\"", (repository / "scripts" / "site").read_text())
    assert command is not None
    words = [sys.executable, "-m", "sphinx", *command[1].split(), "-d", str(out.parent / "doctrees"), "docs", str(out)]
    done = subprocess.run(words, cwd=repository, env=os.environ, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0 and not done.stderr, done.stderr[-4000:]
    return out


def own_pages(site: Path) -> dict[str, Page]:
    """Path below the site -> page, without the pages that Sphinx adds."""
    files = {file.relative_to(site).as_posix(): file for file in site.rglob("*.html") if "_static" not in file.parts}
    return {name: Page(file) for name, file in files.items()}


def broken(site: Path, pages: dict[str, Page]) -> Iterator[str]:
    """Find the links that lead nowhere: no file, no such heading, or no address."""
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https"):
                if not re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.hostname or "") or re.search(r"\s", link):
                    yield f"{name}: {link}: no valid address"
            elif parts.scheme not in ("data", "mailto"):
                target = (site / name).parent / unquote(parts.path) if parts.path else site / name
                inside = target.resolve().relative_to(site.resolve()).as_posix()
                if not target.is_file():
                    yield f"{name}: {link}: no such file"
                elif inside in pages and unquote(parts.fragment) not in pages[inside].anchors:
                    yield f"{name}: {link}: no such heading"


@pytest.mark.timeout(600)  # the first one builds
def test_every_link_of_the_site_leads_somewhere(site: Path) -> None:
    pages = own_pages(site)
    assert len(pages) > 20 and sum(len(page.links) for page in pages.values()) > 500
    assert list(broken(site, pages)) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<p id="x"><a href="#x"></a><a href="#y"></a><a href="b.html"></a><a href="https://nowhere"></a></p>'
    )
    found = sorted(broken(tmp_path, own_pages(tmp_path)))
    assert [line.rpartition(": ")[2] for line in found] == ["no such heading", "no such file", "no valid address"]


def test_the_reference_has_every_command_key_and_public_name(site: Path) -> None:
    pages = own_pages(site)
    assert set(COMMANDS) <= pages["cli.html"].anchors
    keys = (site / "config.html").read_text(encoding="utf-8")
    for part, kind in PARTS.items():
        for field in dataclasses.fields(kind):
            assert f">{part}.{field.name}</span>" in keys, f"{part}.{field.name}"
    anchors = {anchor.removeprefix("module-") for anchor in pages["api.html"].anchors}
    assert {f"compactnas.{name}" for name in compactnas.__all__ if name != "__version__"} <= anchors


def test_search_knows_every_page(site: Path, repository: Path) -> None:
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    written = {file.relative_to(repository / "docs").with_suffix("").as_posix() for file in pages_of(repository)}
    assert written <= set(index["docnames"])
    places = index["terms"]["lagrangian"]  # a number if only one page has the word
    assert index["docnames"].index("budgets") in ([places] if isinstance(places, int) else places)


def test_tables_of_notebooks_are_tables(site: Path) -> None:
    """An output in Markdown, such as the table of a study, is shown as on the hosting site."""
    text = (site / "notebooks" / "compare-strategies.html").read_text(encoding="utf-8")
    assert re.search(r"<th[^>]*>.*GDAS", text)


def test_how_to_and_reference_pages_are_short(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(repository / "docs" / "_ext")
    navigation = importlib.import_module("site_navigation")
    pages = {file.relative_to(repository / "docs").with_suffix("").as_posix() for file in pages_of(repository)}
    listed = {page for section in ("How-to", "Reference") for page in navigation.pages_of(section, pages)}
    listed |= {page for page in pages if navigation.parent_of(page, pages) in listed}
    assert {"data", "data-splits", "metrics"} <= listed and not listed & {"method", "results", "log", "index"}
    for page in sorted(listed - GENERATED):
        text = re.sub(
            r"```.*?```", "", (repository / "docs" / f"{page}.md").read_text(encoding="utf-8"), flags=re.DOTALL
        )
        assert len(text.split()) <= MOST_WORDS, f"docs/{page}.md: split it by task"


def test_a_new_page_finds_its_place(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(repository / "docs" / "_ext")
    navigation = importlib.import_module("site_navigation")
    pages = {"index", "data", "data-new", "mosaics", "lab/2026-01-02-a", "log", "results", "notebooks/a"}
    assert navigation.pages_of("How-to", pages) == ["data", "mosaics"]
    assert navigation.children_of("data", pages) == ["data-new"]
    assert navigation.children_of("log", pages) == ["lab/2026-01-02-a"]
    assert navigation.pages_of("Notebooks", pages) == ["notebooks/a"]


def test_the_readme_is_short_and_its_links_lead_somewhere(repository: Path) -> None:
    """The other files outside of the site too; the site's own links are those of its pages."""
    assert len((repository / "README.md").read_text(encoding="utf-8").splitlines()) <= MOST_README_LINES
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "results/README.md"):
        text = (repository / name).read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, heading = link.partition("#")
            if path.startswith("https://"):
                assert re.fullmatch(r"https://[\w-]+(\.[\w-]+)+(/\S*)?", path), f"{name}: {link}"
                continue
            target = (repository / name).parent / path if path else repository / name
            assert target.exists(), f"{name}: {link}"
            assert not heading or heading in headings(target), f"{name}: {link}"


def headings(file: Path) -> set[str]:
    """List the anchors that the hosting site gives the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", file.read_text(encoding="utf-8"), flags=re.DOTALL), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def pages_of(repository: Path) -> list[Path]:
    """List the Markdown files of the site."""
    return [file for file in (repository / "docs").rglob("*.md") if "_build" not in file.parts]
