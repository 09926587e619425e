"""`compactnas completion`: a real bash completes commands, options, choices and files."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

from compactnas.cli import main
from compactnas.cli.command import COMMANDS
from compactnas.cli.commands.completion import SHELLS, tree

ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
_shtab_compactnas compactnas "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""

needs_shtab = pytest.mark.skipif(importlib.util.find_spec("shtab") is None, reason="shtab is not installed")
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the script for bash, beside one file to complete."""
    import shtab

    folder = tmp_path_factory.mktemp("completion")
    (folder / "patches.npz").touch()
    file = folder / "script.bash"
    file.write_text(shtab.complete(tree(), "bash"), encoding="utf-8")
    return file


@needs_shtab
@needs_bash
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("pre", {"predict", "prepare"}),
        ("run --search.strat", {"--search.strategy"}),
        ("run --search.strategy da", {"darts", "darts_second_order"}),
        ("train --recipe ", {"paper", "quick", "smoke"}),
        ("run --search.no-nest", {"--search.no-nesterov"}),
        ("run --max-m", {"--max-macs"}),
        ("completion ", set(SHELLS)),
        ("run --data.path pat", {"patches.npz"}),
        ("map found pat", {"patches.npz"}),
    ],
)
def test_bash_completes(script: Path, typed: str, offered: set[str]) -> None:
    words = ["bash", "--norc", "-c", ASK, "ask", str(script), "compactnas", *typed.split(" ")]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=script.parent, timeout=60)
    assert set(done.stdout.split()) == offered


@needs_shtab
def test_every_command_is_in_the_tree() -> None:
    (commands,) = (action for action in tree()._actions if action.dest == "command")
    assert set(commands.choices or ()) == set(COMMANDS)


def test_an_unknown_shell_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "fisch"]) == 2
    said = capsys.readouterr().err
    assert said == "compactnas: error: shell: 'fisch' is unknown; use one of bash, zsh, tcsh\n"


def test_without_shtab_one_line_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compactnas.io.extras.missing", lambda *packages: list(packages))
    assert main(["completion", "bash"]) == 2
    assert "completion needs shtab; install with pip install 'compactnas[completion]'" in capsys.readouterr().err
