"""The short version of `scripts/torture`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_killed_runs_end_with_the_same_bytes(repository: Path) -> None:
    script = [sys.executable, str(repository / "scripts" / "torture"), "--kills", "1", "--epochs", "3"]
    done = subprocess.run(script, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert "2 kills, every run ended with the bytes of the undisturbed one" in done.stdout
    assert done.stdout.count("1 in a write") == 2
