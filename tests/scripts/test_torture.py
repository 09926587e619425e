"""The short version of `scripts/torture`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.forking import finish


def test_killed_runs_end_with_the_same_bytes(repository: Path) -> None:
    script = str(repository / "scripts" / "torture")
    words = [script, "--kills", "1", "--epochs", "3"]
    done = finish(["-c", f"import runpy, sys; sys.argv = {words}; runpy.run_path({script!r}, run_name='__main__')"])
    assert "2 kills, every run ended with the bytes of the undisturbed one" in done.stdout
    assert done.stdout.count("1 in a write") == 2


def test_the_script_starts_by_itself(repository: Path) -> None:
    script = [sys.executable, str(repository / "scripts" / "torture"), "--help"]
    assert "--kills" in subprocess.run(script, capture_output=True, text=True, check=True).stdout
