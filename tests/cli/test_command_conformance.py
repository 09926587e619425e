"""Every registered command answers a path that does not exist with one line, and the check finds a planted mistake."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from compactnas.cli import main
from compactnas.cli.command import COMMANDS


def check_missing_path(name: str, where: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every argument names a path that does not exist, every required option a new one."""
    parser = COMMANDS[name].build()
    arguments = [action for action in parser._actions if not action.option_strings]
    required = [
        action.option_strings[-1] for action in parser._actions if action.option_strings and parser.is_required(action)
    ]
    words = [name, *[str(where / "nothing")] * max(1, len(arguments))]  # one too many, if there are none
    for option in required if arguments else ():
        words += [option, str(where / "new")]
    assert main(words) == 2
    output = capsys.readouterr()
    assert output.err.startswith("compactnas: error: ") and len(output.err.splitlines()) == 1
    assert not (where / "new").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_path_that_does_not_exist_is_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_missing_path(name, tmp_path, capsys)


def test_a_planted_mistake_is_caught(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ignores_the_path(words: list[str]) -> int:
        return 0

    monkeypatch.setitem(COMMANDS._entries, "show", replace(COMMANDS["show"], run=ignores_the_path))
    with pytest.raises(AssertionError):
        check_missing_path("show", tmp_path, capsys)
