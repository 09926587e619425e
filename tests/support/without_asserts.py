"""Run pytest while the package is compiled without asserts.

`python -O` does the same, but it would first compile every library of the environment anew.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

import pytest

from support import checking

PACKAGE = "compactnas"


class WithoutAsserts(SourceFileLoader):
    """Loader that compiles a module as `python -O` does."""

    def get_code(self, fullname: str) -> CodeType:
        """Compile the source; compiled files, which have asserts, are not used."""
        code: CodeType = compile(self.get_data(self.path), self.path, "exec", dont_inherit=True, optimize=1)
        return code


class Finder(MetaPathFinder):
    """Finder that gives each module of the package this loader."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module of the package; leave all others to the next finder."""
        spec = PathFinder.find_spec(fullname, path, target) if _is_ours(fullname) else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = WithoutAsserts(spec.loader.name, spec.loader.path)
        return spec


def run(words: list[str]) -> int:
    """Import the package without asserts, run pytest in this process, and return its exit code."""
    for name in filter(_is_ours, list(sys.modules)):
        del sys.modules[name]
    sys.meta_path.insert(0, Finder())
    checking.check_annotations = lambda package: None  # `python -O` leaves these checks out, too
    code = int(pytest.main(words))
    ours = [module for name, module in sys.modules.items() if _is_ours(name)]
    assert ours and all(isinstance(module.__loader__, WithoutAsserts) for module in ours)
    return code


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == PACKAGE
