"""Pages of the site that are made from the code, or from files outside `docs`.

A comment such as `<!-- site: commands -->` in a page is replaced by what the function of that name writes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from site_reference import commands, config_keys, public_names

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]

OUTSIDE = {
    "../README.md": "index.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../CHANGELOG.md": "changelog.md",
    "../SECURITY.md": "security.md",
}
"""File that a page links to -> page of the site that shows it."""


def glossary() -> str:
    """Copy the glossary of CONTRIBUTING."""
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Glossary\n")[2]


def contributing() -> str:
    """Copy CONTRIBUTING without its title."""
    return _copied("CONTRIBUTING.md")


def changelog() -> str:
    """Copy the changelog without its title."""
    return _copied("CHANGELOG.md")


def security() -> str:
    """Copy SECURITY without its title."""
    return _copied("SECURITY.md")


def _copied(name: str) -> str:
    text = (ROOT / name).read_text(encoding="utf-8").partition("\n")[2]
    return re.sub(r"\]\((?!https?:|#)([^)]+)\)", lambda link: f"]({_from_docs(link[1])})", text)


def _from_docs(target: str) -> str:
    return target.removeprefix("docs/") if target.startswith("docs/") else f"../{target}"


WRITERS: dict[str, Callable[[], str]] = {
    writer.__name__: writer
    for writer in (commands, config_keys, public_names, glossary, contributing, changelog, security)
}
"""Name in a comment of a page -> function that writes the text."""


def _write_parts(app: Sphinx, page: str, source: list[str]) -> None:
    text = re.sub(r"<!-- site: (\w+) -->", lambda match: WRITERS[match[1]](), source[0])
    for file, shown in OUTSIDE.items():
        text = text.replace(f"]({file})", f"]({shown})").replace(f"]({file}#", f"]({shown}#")
    source[0] = text


def setup(app: Sphinx) -> dict[str, bool]:
    """Replace the comments when a page is read."""
    app.connect("source-read", _write_parts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
