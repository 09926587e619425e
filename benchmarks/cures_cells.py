"""Draw the cells that searches of `benchmarks/cures.py` found within the budget, side by side.

    python benchmarks/cures_cells.py results/cures_eurosat.jsonl docs/figures/cures_cells.svg

A row is a cure, a column a seed. Above each cell stand its accuracy and its place among the random cells.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from cures_table import place
from lines import whole_lines

from compactnas.io.atomic import write_bytes
from compactnas.reporting.figures.cell import cell_figure
from compactnas.reporting.figures.plain import plain_figure, svg_bytes
from compactnas.reporting.figures.svg import drawing, text
from compactnas.space.genotype import Genotype

ROWS = {
    "gdas": "gdas",
    "darts, perturbation": "darts, perturbation",
    "main effects, skip limit": "effects, at most three edges without weights",
}
"""Cure -> its name in the picture."""
SEEDS = (0, 1)
COLUMN_PX, CELL_PX, ROW_PX, TITLE_PX = 440, 420, 150, 24


def cells_figure(lines: list[dict[str, Any]]) -> ET.Element:
    """Draw the grid."""
    drawn = [line["oa"] for line in lines if line["kind"] == "random"]
    parts = []
    for row, (cure, name) in enumerate(ROWS.items()):
        top = row * ROW_PX
        parts.append(text(10, top + 18, name, "cn-strong"))
        for column, seed in enumerate(SEEDS):
            found = next(line for line in lines if (line["cure"], line["seed"]) == (cure, seed))
            left, where = column * COLUMN_PX + 10, 100 * place(found["oa"], drawn)
            about = f"seed {seed}: {100 * found['oa']:.2f} %, above {where:.0f} % of the random cells"
            parts.append(text(left, top + 18 + TITLE_PX, about, "cn-small"))
            parts.append(placed(found["genotype"], left, top + 2 * TITLE_PX))
    label = "Cells found by three searches with two seeds each"
    return drawing(len(SEEDS) * COLUMN_PX, len(ROWS) * ROW_PX, label, *parts)


def placed(values: dict[str, Any], left: float, top: float) -> ET.Element:
    """Draw a cell in its field of the grid."""
    cell = cell_figure(Genotype.from_values(values))
    field = {"x": left, "y": top, "width": CELL_PX, "height": ROW_PX - 2 * TITLE_PX - 8}
    for key, value in field.items():
        cell.set(key, str(value))
    cell.set("preserveAspectRatio", "xMinYMin meet")
    return cell


def main() -> None:
    """Read the lines, and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path)
    parser.add_argument("figure", type=Path)
    options = parser.parse_args()
    write_bytes(options.figure, svg_bytes(plain_figure(cells_figure(whole_lines(options.json)))))


if __name__ == "__main__":
    main()
