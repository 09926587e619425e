"""Figures of a search and a training by epoch, with pictures for notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from compactnas.io.atomic import write_bytes
from compactnas.io.jsonl import Row, read_valid_rows
from compactnas.reporting.drawings._html import image
from compactnas.reporting.figures.curves import search_curves, train_curves
from compactnas.reporting.figures.svg import standalone

AGAIN = "fit again"


@dataclass(frozen=True)
class Figures:
    """Pictures by name; a notebook shows them side by side.

    Attributes:
        figures: Figure by name.
    """

    figures: dict[str, ET.Element]

    def save(self, folder: str | Path) -> list[Path]:
        """Write each picture to an SVG file, and return the files."""
        files = [Path(folder) / f"{name}.svg" for name in self.figures]
        for file, figure in zip(files, self.figures.values(), strict=True):
            write_bytes(file, standalone(figure).encode())
        return files

    def _repr_html_(self) -> str:
        cells = "".join(f'<div style="flex:0 1 340px">{image(figure)}</div>' for figure in self.figures.values())
        return f'<div style="display:flex;flex-wrap:wrap;gap:12px">{cells}</div>'


@dataclass(frozen=True)
class History:
    """Figures by epoch.

    Attributes:
        search: Rows of the search: losses, accuracies, entropy, cost and depth by epoch.
        train: Rows of the training of the found network: loss, accuracy, learning rate by epoch.
    """

    search: list[Row]
    train: list[Row]

    @classmethod
    def read(cls, run: Path) -> History:
        """Read the figures of a run's folder; a stage that is missing has no rows."""
        files = (run / "search" / "metrics.jsonl", run / "train" / "metrics.jsonl")
        return cls(*(read_valid_rows(file, AGAIN)[0] if file.exists() else [] for file in files))

    def plot(self) -> Figures:
        """Draw the curves of both stages."""
        named = {"search": search_curves(self.search), "train": train_curves(self.train)}
        return Figures(
            {f"{stage}_{number}": figure for stage, found in named.items() for number, figure in enumerate(found, 1)}
        )
