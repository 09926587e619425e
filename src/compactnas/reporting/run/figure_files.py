"""Write the figures of runs as SVG and PDF files for papers. They hold no date: the same runs give the same bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from compactnas.errors import UserError
from compactnas.io.atomic import write_bytes
from compactnas.reporting.figures.pdf import pdf_bytes
from compactnas.reporting.figures.plain import plain_figure, svg_bytes
from compactnas.reporting.run.figures import figures_of
from compactnas.reporting.run.folders import run_folders
from compactnas.reporting.run.networks import planes_of
from compactnas.reporting.run.reading import RunFolder, read_run

PLANES = ("pareto", "pareto-parameters")


def write_figures(folders: Sequence[Path], output: Path) -> list[str]:
    """Write each figure of the runs as `NAME.svg` and `NAME.pdf`; files of these names are replaced.

    With several runs, each has a folder of its own, and accuracy against cost is drawn once for all.

    Args:
        folders: Folders of the runs.
        output: Folder of the figures.

    Returns:
        Names of the figures.

    Raises:
        UserError: A folder holds no run, a file in it is damaged, or `output` is not writable.
    """
    runs = [read_run(folder) for folder in run_folders(folders)]
    figures: dict[str, ET.Element] = {}
    for place, run in zip(_places(runs), runs, strict=True):
        figures |= {f"{place}{name}": figure for name, figure in figures_of(run).items()}
    figures |= dict(zip(PLANES, planes_of(runs).figures, strict=False))
    for name, figure in figures.items():
        plain = plain_figure(figure)
        try:
            write_bytes(output / f"{name}.svg", svg_bytes(plain))
            write_bytes(output / f"{name}.pdf", pdf_bytes(plain))
        except OSError as error:
            raise UserError(f"{output}: {error.strerror or error}; choose another folder for the figures") from None
    return list(figures)


def _places(runs: Sequence[RunFolder]) -> list[str]:
    """Name a folder for each run after its own; empty for a single run."""
    if len(runs) == 1:
        return [""]
    names = [re.sub(r"[^A-Za-z0-9_+-]+", "-", run.path.resolve().name).strip("-") or "run" for run in runs]
    return [f"{name}/" if names.count(name) == 1 else f"{name}-{number}/" for number, name in enumerate(names, start=1)]
