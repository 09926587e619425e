"""The notebooks of the documentation: all cells run, on small settings, and what is shown belongs to the source."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
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


@pytest.fixture(scope="module")
def kernel() -> Iterator[Any]:
    """One kernel for all notebooks, because it imports torch only once; each begins without names of another."""
    jupyter_client = pytest.importorskip("jupyter_client", reason="notebooks need jupyter_client (the extra docs)")
    path = f"{FOLDER.parents[1] / 'src'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    manager = jupyter_client.AsyncKernelManager(kernel_name="python3")
    env = {
        name: value for name, value in os.environ.items() if name != "MPLBACKEND"
    }  # the notebook's own shows pictures
    asyncio.run(manager.start_kernel(env=env | {"COMPACTNAS_NOTEBOOKS": "small", "PYTHONPATH": path}))
    yield manager
    asyncio.run(manager.shutdown_kernel(now=True))


@pytest.mark.parametrize("name", NAMES)
def test_all_cells_run(name: str, kernel: Any, tmp_path: Path) -> None:
    import jupytext
    import nbformat
    from nbclient import NotebookClient

    notebook = jupytext.read(FOLDER / f"{name}.py")
    notebook.cells.insert(0, nbformat.v4.new_code_cell(f"%reset -f\n%cd -q {tmp_path}"))
    client = NotebookClient(notebook, timeout=240, km=kernel)
    try:
        client.execute()
    finally:
        client.kc.stop_channels()
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
    assert {"map-a-city", "fit-a-budget", "compare-strategies"} <= set(NAMES)
