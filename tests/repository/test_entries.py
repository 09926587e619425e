"""Every entry of every registry has a line on the page that CONTRIBUTING names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from compactnas.cli.command import COMMANDS
from compactnas.data.formats import FORMATS as DATA_FORMATS
from compactnas.exporting.formats import FORMATS as EXPORT_FORMATS
from compactnas.nn.baselines import BASELINES
from compactnas.search.objectives import OBJECTIVES
from compactnas.search.strategies import STRATEGIES
from compactnas.space.layouts import LAYOUTS
from compactnas.space.operation_specs import OPERATIONS

REGISTRIES: dict[str, Mapping[str, Any]] = {
    "nn/operations": OPERATIONS,
    "search/strategies": STRATEGIES,
    "search/objectives": OBJECTIVES,
    "data/formats": DATA_FORMATS,
    "nn/baselines": BASELINES,
    "exporting/formats": EXPORT_FORMATS,
    "cli/commands": COMMANDS,
    "space/layouts": LAYOUTS,
}


def pages_of(repository: Path) -> dict[str, list[str]]:
    """Folder of each kind of entry -> its pages, from the table in CONTRIBUTING."""
    rows = re.findall(r"^\| .*\| `([\w/]+)/NAME\.py` \| (.*) \|$", (repository / "CONTRIBUTING.md").read_text(), re.M)
    return {folder: re.findall(r"`([^`]+)`", cell) for folder, cell in rows}


def has_line(text: str, name: str, folder: str) -> bool:
    """Whether a name stands between backticks; that of a command also in an example."""
    spans = [span for line in text.splitlines() for span in line.split("`")[1::2]]
    if any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", span) for span in spans):
        return True
    return folder == "cli/commands" and re.search(rf"compactnas {name}(?!\w)", text) is not None


def test_contributing_names_the_page_of_each_kind(repository: Path) -> None:
    assert pages_of(repository).keys() == REGISTRIES.keys()


@pytest.mark.parametrize("folder", REGISTRIES)
def test_every_entry_has_a_line_in_the_documentation(folder: str, repository: Path) -> None:
    pages = pages_of(repository)[folder]
    text = "\n".join(file.read_text(encoding="utf-8") for page in pages for file in sorted(repository.glob(page)))
    for name in REGISTRIES[folder]:
        assert has_line(text, name, folder), f"{' or '.join(pages)}: no line about `{name}`"
