"""Imports go one way, also between the modules of one package, where the contracts of import-linter do not look."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest


def test_no_modules_import_each_other() -> None:
    """Imports inside functions and for types alone count as well."""
    graph = grimp.build_graph("compactnas", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert sum(map(len, imports.values())) > 1000, "the imports were found"
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))
