"""Registries: entries are found by file name, and imported only when they are used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from compactnas import registry
from compactnas.errors import UserError
from compactnas.registry import Registry


@pytest.fixture
def letters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[int]:
    """A package of four modules, one without an entry, and a helper."""
    package = tmp_path / "letters"
    package.mkdir()
    for name, text in {
        "__init__": "",
        "b": "N = 2",
        "a": "N = 1",
        "c": "raise OSError",
        "d": "M = 4",
        "_help": "",
    }.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.setattr(registry, "ROOT", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def find(name: str) -> object:
        return __import__(name.removeprefix("compactnas."), fromlist=["N"])

    monkeypatch.setattr(registry, "import_module", find)
    return Registry("letter", "compactnas.letters", "N", first=("b",))


def test_names_are_files_and_no_module_is_imported_for_them(letters: Registry[int]) -> None:
    assert tuple(letters) == ("b", "a", "c", "d")
    assert len(letters) == 4
    assert "a" in letters
    assert "_help" not in letters


def test_an_entry_is_imported_when_it_is_used(letters: Registry[int]) -> None:
    assert letters["a"] == 1
    with pytest.raises(OSError):  # noqa: PT011  # what the module raises, to show that it was imported
        letters["c"]
    with pytest.raises(KeyError):
        letters["e"]


def test_a_module_without_an_entry_is_named(letters: Registry[int]) -> None:
    with pytest.raises(AssertionError, match=r"compactnas\.letters\.d defines no N; the name of a helper begins with"):
        letters["d"]


def test_an_entry_can_be_added_once(letters: Registry[int]) -> None:
    letters.add("z", 26)
    assert letters["z"] == 26
    assert tuple(letters) == ("b", "a", "c", "d", "z")
    with pytest.raises(UserError, match="'z' exists already"):
        letters.add("z", 27)


def test_a_near_miss_is_suggested(letters: Registry[int]) -> None:
    letters.add("long_name", 0)
    with pytest.raises(UserError, match=r"^here: unknown letter 'long_nme'; did you mean 'long_name'\?$"):
        letters.require("long_nme", "here")
    with pytest.raises(UserError, match="use one of b, a, c, d, long_name"):
        letters.require("?", "here")


def test_names_need_no_torch() -> None:
    code = "import sys, compactnas.registry; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


DESCRIBED = """
import sys
from compactnas.data.formats import FORMATS
from compactnas.nn.baselines import BASELINES
from compactnas.space.layouts import LAYOUTS
from compactnas.space.operation_specs import OPERATIONS
for registry in (OPERATIONS, BASELINES, LAYOUTS, FORMATS):
    for name in registry:
        registry[name]
        assert "torch" not in sys.modules, f"{registry.kind} {name} imports torch; import it through `deferred`"
"""


def test_entries_that_reports_read_need_no_torch() -> None:
    """Reports, `inspect`, `prepare` and `leakage` read labels, colours and formats without it."""
    done = subprocess.run([sys.executable, "-c", DESCRIBED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
