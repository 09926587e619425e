"""Hostile files without any `assert` of the package, as under `python -O`: they are refused all the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.forking import finish
from support.without_asserts import WithoutAsserts

MODULES = ("tests/io/test_hostile.py", "tests/labels/test_hostile_polygons.py")
PYTEST = "import sys; from support.without_asserts import run; sys.exit(run(sys.argv[1:]))"


@pytest.mark.timeout(900)
def test_what_is_hostile_is_refused_without_asserts(repository: Path) -> None:
    """The asserts of tests and of their helpers are kept."""
    plugins = ["-q", "-p", "pytest_timeout", "-p", "no:cacheprovider"]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    modules = [repository / module for module in MODULES]
    done = finish(["-c", PYTEST, *plugins, *modules], environment, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout


def test_the_loader_leaves_asserts_out(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("assert False\nheld = __debug__\n")
    names: dict[str, object] = {}
    exec(WithoutAsserts("module", str(file)).get_code("module"), names)
    assert names["held"] is False
