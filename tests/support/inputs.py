"""Inputs as people have them: each is made by a test, used, and checked against a plain computation."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.input_outcomes import Outcome, outcome_of

Check = Callable[[Outcome], None]


@dataclass(frozen=True)
class Use:
    """One use of an input.

    Attributes:
        what: What to do with it, as `input_outcomes` takes it.
        expect: Check of the outcome, or the regular expression that its error must match.
    """

    what: dict[str, Any]
    expect: Check | str


@dataclass(frozen=True)
class Input:
    """An input that people bring.

    Attributes:
        name: What it is, as the table shows it.
        make: Function that writes its files into a folder, and returns its use.
    """

    name: str
    make: Callable[[Path], Use]


def train(expect: Check | str, **options: Any) -> Use:
    """Open labelled windows; `options` are those of `DataConfig`."""
    return Use(
        {"train": {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}}, expect
    )


def command(expect: Check | str, *words: object, maps: Path | None = None) -> Use:
    """Run a command; with `maps`, the outcome has the classes of the map in this folder."""
    return Use({"run": [str(word) for word in words]} | ({"map": str(maps)} if maps else {}), expect)


def windows(expected: dict[str, int], note: str = "") -> Check:
    """Expect exactly these windows (`FILE/ROW/COLUMN` of the upper left pixel -> LCZ), and a note that matches."""

    def check(outcome: Outcome) -> None:
        assert outcome.get("windows") == expected, outcome.get("error", "other windows")
        assert_note(outcome, note)

    return check


def cells(expected: list[list[int]], note: str = "") -> Check:
    """Expect exactly these classes of a map, and a note that matches."""

    def check(outcome: Outcome) -> None:
        assert outcome.get("cells") == expected, outcome.get("error", "other cells")
        assert_note(outcome, note)

    return check


def assert_note(outcome: Outcome, pattern: str) -> None:
    """Check that a note matches a regular expression, if one is given."""
    assert not pattern or any(re.search(pattern, note) for note in outcome["notes"]), outcome["notes"]


def verify(one: Input, folder: Path) -> None:
    """Make an input, use it and check the outcome."""
    use = one.make(folder)
    outcome = outcome_of(use.what)
    if isinstance(use.expect, str):
        assert re.search(use.expect, outcome.get("error", "no error")), outcome
    else:
        use.expect(outcome)
