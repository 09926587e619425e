"""Draw a quick look of a map beside its scene, with a legend, each class's share of the cells, and a scale bar."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from jaxtyping import UInt8

from compactnas.mapping.legend import LegendEntry
from compactnas.mapping.overview import Overview
from compactnas.scenes.scene import Place

LONGEST_PX = 1500
"""Largest length of the map's longer side in the picture; larger maps are subsampled."""
SMALLEST_PX = 900
DPI = 150
LEGEND_IN, HEAD_IN, FOOT_IN, MARGIN_IN = 2.9, 0.75, 0.5, 0.2
CAPTION_IN = 0.085
"""Width of a character of a caption; longer captions are cut."""
INK, QUIET, NOTHING = "#222222", "#666666", "#F2F2F2"
BAR_SHARE = 0.25
"""Largest share of the map's width that the scale bar takes."""


def picture(
    labels: UInt8[np.ndarray, "rows columns"],
    place: Place,
    legend: Sequence[LegendEntry],
    title: str,
    overview: Overview,
) -> bytes:
    """Draw a map as PNG, at its left the scene at the same scale."""
    from matplotlib.figure import Figure

    thin = -(-max(labels.shape) // LONGEST_PX)
    shown = labels[::thin, ::thin]
    times = max(1, SMALLEST_PX // max(shown.shape))
    height, width = (side * times / DPI for side in shown.shape)
    legend_height = 0.2 * (len(legend) + 4)
    body = max(height, legend_height)
    whole = (2 * width + LEGEND_IN + 4 * MARGIN_IN, body + HEAD_IN + FOOT_IN)
    figure = Figure(figsize=whole, dpi=DPI, facecolor="white")
    lefts = (MARGIN_IN, 2 * MARGIN_IN + width)
    for left, caption in zip(lefts, (overview.caption, "map"), strict=True):
        box = (left / whole[0], (FOOT_IN + body - height) / whole[1], width / whole[0], height / whole[1])
        axes = figure.add_axes(box)
        if left == lefts[0]:
            image = _resized(overview, place, (shown.shape[0] * times, shown.shape[1] * times))
        else:
            image = np.array([(242, 242, 242), *(entry.rgb for entry in legend)], np.uint8)[shown]
        axes.imshow(image, interpolation="nearest", aspect="auto")
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(linewidth=0.6, color=QUIET)
        caption = _short(caption, width)
        figure.text(left / whole[0], 1 - (HEAD_IN - 0.12) / whole[1], caption, size=8, color=QUIET)
    figure.text(MARGIN_IN / whole[0], 1 - 0.33 / whole[1], printable(title), size=12, weight="bold", color=INK)
    _scale(figure, whole, width, place)
    _legend(figure, whole, 3 * MARGIN_IN + 2 * width, labels, legend)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def _resized(overview: Overview, place: Place, shape: tuple[int, int]) -> UInt8[np.ndarray, "height width 3"]:
    """Cut the picture of a scene to the place of the map, and bring it to this height and width in pixels."""
    from PIL import Image

    height, width = overview.pixels.shape[:2]
    right, bottom = (width * place.width / overview.columns, height * place.height / overview.rows)
    box = (0.0, 0.0, min(right, float(width)), min(bottom, float(height)))
    return np.asarray(Image.fromarray(overview.pixels).resize(shape[::-1], Image.Resampling.BOX, box))


def _short(caption: str, width: float) -> str:
    """Cut a caption to the width of its image."""
    most = max(3, int(width / CAPTION_IN))
    return printable(caption if len(caption) <= most else f"{caption[: most - 1]}\N{HORIZONTAL ELLIPSIS}")


def _scale(figure: Any, whole: tuple[float, float], width: float, place: Place) -> None:
    """Draw a scale bar of a round length below the scene, and note the cell size and the coordinate system."""
    from matplotlib.lines import Line2D

    across_m = place.width * place.transform.a
    length_m = round_length(across_m * BAR_SHARE)
    inches = width * length_m / across_m
    y = 0.24 / whole[1]
    left, right = MARGIN_IN / whole[0], (MARGIN_IN + inches) / whole[0]
    tick = 0.05 / whole[1]
    for x in ((left, left), (right, right)):
        figure.add_artist(Line2D(x, (y - tick, y + tick), color=INK, linewidth=1.2))
    figure.add_artist(Line2D((left, right), (y, y), color=INK, linewidth=1.2))
    text = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
    figure.text(right + 0.08 / whole[0], y, text, size=8, color=INK, va="center")
    epsg = place.crs.to_epsg()
    note = f"cells of {place.transform.a:g} m, north is up" + (f", EPSG:{epsg}" if epsg else "")
    figure.text(2 * (MARGIN_IN + width) / whole[0], y, note, size=7, color=QUIET, va="center", ha="right")


def _legend(
    figure: Any,
    whole: tuple[float, float],
    left: float,
    labels: UInt8[np.ndarray, "rows columns"],
    legend: Sequence[LegendEntry],
) -> None:
    from matplotlib.patches import Rectangle

    counts = np.bincount(labels.ravel(), minlength=len(legend) + 1)
    total, row, y = max(1, int(counts[1:].sum())), 0.2 / whole[1], 1 - (HEAD_IN + 0.12) / whole[1]

    def line(colour: str, label: str, name: str, share: str, ink: str) -> None:
        nonlocal y
        box = Rectangle(
            (left / whole[0], y - 0.07 / whole[1]),
            0.22 / whole[0],
            0.14 / whole[1],
            facecolor=colour,
            edgecolor=QUIET,
            linewidth=0.4,
        )
        figure.add_artist(box)
        figure.text((left + 0.3) / whole[0], y, label, size=8, color=ink, va="center", weight="bold")
        figure.text((left + (0.56 if label else 0.3)) / whole[0], y, name, size=8, color=ink, va="center")
        figure.text((left + LEGEND_IN) / whole[0], y, share, size=8, color=ink, va="center", ha="right")
        y -= row

    for entry in legend:
        if entry.label == "A":
            y -= 0.4 * row  # gap between built and natural classes
        count = int(counts[entry.number])
        share = f"{100 * count / total:.1f} %" if count else "-"
        line(entry.colour, entry.label, printable(entry.name)[:32], share, INK if count else "#AAAAAA")
    if counts[0]:
        y -= 0.4 * row
        line(NOTHING, "", f"no class ({100 * counts[0] / labels.size:.1f} % of all cells)", "", QUIET)


def printable(text: str) -> str:
    """Escape a text for matplotlib, which reads dollar signs as formulas."""
    return "".join(c for c in text if c.isprintable()).replace("$", r"\$")


def round_length(most_m: float) -> float:
    """Largest length of 1, 2 or 5 times a power of ten up to `most_m`."""
    power = 10.0 ** np.floor(np.log10(most_m))  # may be rounded up to the next one, so half of it is tried too
    return float(max(n * power for n in (0.5, 1, 2, 5) if n * power <= most_m))
