"""Draw a scene, its map, and the map's confidence side by side, with a legend and a scale bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from compactnas.mapping.legend import LegendEntry
from compactnas.mapping.picture import BAR_SHARE, DPI, INK, NOTHING, QUIET, printable, round_length

WIDTH_IN, COLUMNS = 10.2, 4
"""Width of the picture in inches, and number of columns of the legend."""
MOST_NAME = 30
"""Longest name in the legend, in characters."""


@dataclass(frozen=True)
class Triptych:
    """What the picture shows.

    Attributes:
        scene: The scene as red, green and blue, from the same corner as the map.
        extent: Width and height of the scene's picture in cells of the map.
        labels: Class numbers of the map from 1, 0 where there is none.
        confidence: Largest class probability of each cell, in %.
        legend: Names and colours of the classes.
        cell_m: Side of a cell in metres.
        titles: Titles of the three parts.
    """

    scene: UInt8[np.ndarray, "height width 3"]
    extent: tuple[float, float]
    labels: UInt8[np.ndarray, "rows columns"]
    confidence: Float[np.ndarray, "rows columns"]
    legend: Sequence[LegendEntry]
    cell_m: float
    titles: tuple[str, str, str]

    def draw(self) -> bytes:
        """Draw the picture as PNG."""
        from matplotlib.figure import Figure

        rows, columns = self.labels.shape
        lines = -(-len(self.legend) // COLUMNS)
        below = 0.38 + 0.2 * max(lines, 3)
        height = 0.27 + (0.32 * WIDTH_IN) * rows / columns + below
        figure = Figure(figsize=(WIDTH_IN, height), dpi=DPI, facecolor="white")
        grid = figure.add_gridspec(
            1, 3, left=0.008, right=0.992, top=1 - 0.27 / height, bottom=below / height, wspace=0.03
        )
        axes = [figure.add_subplot(grid[0, place]) for place in range(3)]
        colours = np.array([_rgb(NOTHING), *(entry.rgb for entry in self.legend)], np.uint8)
        axes[0].imshow(self.scene, extent=(0, self.extent[0], self.extent[1], 0))
        axes[1].imshow(colours[self.labels], interpolation="nearest", extent=(0, columns, rows, 0))
        shown = axes[2].imshow(
            self.confidence, vmin=0, vmax=100, cmap="viridis", interpolation="nearest", extent=(0, columns, rows, 0)
        )
        for axis, title in zip(axes, self.titles, strict=True):
            axis.set(xticks=[], yticks=[], xlim=(0, columns), ylim=(rows, 0))
            axis.set_title(printable(title), fontsize=9, loc="left", color=INK)
            axis.spines[:].set(linewidth=0.6, color=QUIET)
        _scale(axes[0], columns, rows, self.cell_m)
        _legend(figure, self.legend, below, height)
        bar = figure.colorbar(
            shown, cax=figure.add_axes((0.70, (below - 0.4) / height, 0.26, 0.13 / height)), orientation="horizontal"
        )
        bar.ax.tick_params(labelsize=8)
        bar.set_label("%", fontsize=8)
        buffer = BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
        return buffer.getvalue()


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def _scale(axis: Any, columns: int, rows: int, cell_m: float) -> None:
    """Draw the scale bar below a picture, in cells of the map."""
    length_m = round_length(BAR_SHARE * columns * cell_m)
    length, y = length_m / cell_m, 1.035 * rows
    axis.plot([0, length], [y, y], color=INK, linewidth=2, clip_on=False, solid_capstyle="butt")
    text = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    axis.text(1.05 * length, y, text, fontsize=8, va="center", color=INK)


def _legend(figure: Any, legend: Sequence[LegendEntry], below: float, height: float) -> None:
    """Draw the classes in columns below the pictures; `below` and `height` are in inches."""
    from matplotlib.patches import Rectangle

    lines = -(-len(legend) // COLUMNS)
    for position, entry in enumerate(legend):
        column, line = divmod(position, lines)
        x, y = 0.008 + 0.168 * column, (below - 0.43 - 0.2 * line) / height
        box = Rectangle((x, y), 0.014, 0.142 / height, facecolor=entry.colour, edgecolor=QUIET, linewidth=0.4)
        figure.add_artist(box)
        text = printable(f"{entry.label}  {entry.name}".strip()[:MOST_NAME])
        figure.text(x + 0.019, y + 0.071 / height, text, fontsize=8, va="center", color=INK)
