"""The notebooks of the documentation: all cells run, on small settings, and what is shown belongs to the source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NAMES = sorted(file.stem for file in FOLDER.glob("*.py"))
NEEDED = ("jupytext", "nbclient", "nbformat", "ipykernel", "rasterio", "rioxarray", "onnxscript", "onnxruntime")


@pytest.fixture(autouse=True)
def _packages() -> None:
    for package in NEEDED:
        pytest.importorskip(package, reason=f"notebooks need {package} (the extras docs, map and export)")


def pictures(notebook: Any) -> int:
    """Count the pictures among the outputs."""
    shown = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in data or "data:image/svg+xml" in data.get("text/html", "") for data in shown)


@pytest.mark.parametrize("name", NAMES)
def test_all_cells_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import jupytext
    from nbclient import NotebookClient

    monkeypatch.setenv("COMPACTNAS_NOTEBOOKS", "small")
    monkeypatch.setenv("PYTHONPATH", f"{FOLDER.parents[1] / 'src'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    notebook = jupytext.read(FOLDER / f"{name}.py")
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert pictures(notebook) >= 1
    told = [output for cell in notebook.cells for output in cell.get("outputs", []) if output.get("name") == "stderr"]
    assert not told, "".join(output["text"] for output in told)


@pytest.mark.parametrize("name", NAMES)
def test_the_shown_notebook_is_that_of_the_source(name: str) -> None:
    """`scripts/notebooks.py NAME` makes it again."""
    import jupytext
    import nbformat

    source, shown = jupytext.read(FOLDER / f"{name}.py"), nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    cells = [[(cell.cell_type, cell.source) for cell in notebook.cells] for notebook in (source, shown)]
    assert cells[0] == cells[1]
    code = [cell for cell in shown.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert pictures(shown) >= 1
    assert "/tmp/" not in (FOLDER / f"{name}.ipynb").read_text(), "a path of the machine that made it"


def test_there_are_notebooks() -> None:
    assert {"map-a-city", "fit-a-budget"} <= set(NAMES)
