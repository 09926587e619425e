"""Execute the notebooks of docs/notebooks, and write them with their outputs: NAME.ipynb from NAME.py.

    .venv/bin/python scripts/notebooks.py [NAME ...]

NAME.py is the source (jupytext's percent format): it is what people edit and review, and what the tests execute on
small settings. NAME.ipynb is made from it by this script alone. It shows the outputs on the hosting site and in the
documentation, and opens in Jupyter. Needs the extras `map`, `export` and `docs`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
TIMEOUT_S = 3600


def main() -> None:
    """Execute the named notebooks, by default all, each in an empty folder."""
    for source in [FOLDER / f"{name}.py" for name in sys.argv[1:]] or sorted(FOLDER.glob("*.py")):
        notebook, began = jupytext.read(source), time.monotonic()
        with tempfile.TemporaryDirectory(prefix="compactnas-notebook-") as empty:
            NotebookClient(
                notebook, timeout=TIMEOUT_S, resources={"metadata": {"path": empty}}, record_timing=False
            ).execute()
        notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
        for number, cell in enumerate(notebook.cells, 1):
            cell["id"] = f"cell-{number}"  # random ones would change with every run
            cell.metadata = {}
        nbformat.write(notebook, source.with_suffix(".ipynb"))
        print(f"{source.with_suffix('.ipynb').name}: {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
