"""Hostile files under `python -O`, which leaves out every `assert` of the package: they are refused all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULES = ("tests/io/test_hostile.py", "tests/labels/test_hostile_polygons.py")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("module", MODULES)
def test_what_is_hostile_is_refused_without_asserts(module: str, repository: Path) -> None:
    """Pytest keeps the asserts of tests, and of the helpers that `conftest.py` names."""
    plugins = ["-p", "pytest_timeout", "-p", "no:cacheprovider"]
    words = ["-O", "-m", "pytest", "-q", *plugins, "-W", "ignore:assertions not in test"]
    environment = os.environ | {"PYTHONPATH": str(repository / "src"), "OMP_NUM_THREADS": "1"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(
        [sys.executable, *words, module], cwd=repository, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
