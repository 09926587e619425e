"""Draw matrices as coloured grids: confusion by class, probabilities of operations, depths and widths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree import ElementTree as ET

import numpy as np
from numpy.typing import NDArray

from compactnas import lcz as facts
from compactnas.reporting.figures.cell import state_name
from compactnas.reporting.figures.layers import layer_rows, row_names
from compactnas.reporting.figures.operations import operation_label
from compactnas.reporting.figures.svg import CHARACTER_PX, drawing, element, line, text
from compactnas.space.genotype import Genotype
from compactnas.space.layouts import LAYOUTS

NAMED_FROM_PX = 150
"""Smallest width of the colour bar whose text does not run into its numbers."""
DIGITS_FROM_PX = 24.0
"""Smallest side of a cell that shows its figure, in px."""
LABELS_UP_TO = 80
"""Largest number of classes whose names are still readable."""


DARK_FROM = 0.62
"""Share from which a cell is so strong that its figure has the colour of the page."""


def strength(share: float) -> float:
    """Find the opacity of a cell from a share from 0 to 1: 0 is blank, and the smallest share can just be seen.

    NaN, which a search with a NaN loss leaves, counts as 0.
    """
    share = 0.0 if math.isnan(share) else min(max(share, 0.0), 1.0)
    return 0.06 + 0.94 * share if share else 0.0


def confusion_figure(confusion: NDArray[np.int64], classes: Sequence[str]) -> ET.Element:
    """Draw the confusion matrix, with true classes as rows, normalised to 1. Tooltips give the patches."""
    count = len(classes)
    side = float(np.clip(680 / count, 6, 38))
    lcz = tuple(classes) == facts.NAMES
    names = [f"{c.label}  {c.name}" for c in facts.CLASSES] if lcz else list(classes)
    shown = [name if len(name) <= 26 else name[:25] + "…" for name in names]
    labelled = count <= LABELS_UP_TO
    left = 30 + (max(len(name) for name in shown) * CHARACTER_PX + 14 if labelled else 0)
    columns = [c.label for c in facts.CLASSES] if lcz else [str(index + 1) for index in range(count)]
    if not lcz:
        shown = [f"{index + 1}  {name}" for index, name in enumerate(shown)]
        left += CHARACTER_PX * (len(str(count)) + 2)
    top, grid = 46.0, side * count
    support = confusion.sum(axis=1)
    right = max(len("patches"), *(len(f"{n:,}") for n in support)) * CHARACTER_PX + 18
    parts = [element("rect", x=left, y=top, width=grid, height=grid, class_="cn-frame")]
    parts += [
        element("rect", x=left, y=top + row * side, width=grid, height=side, class_="cn-absent")
        for row in np.flatnonzero(support == 0)
    ]
    parts += _cells(confusion, names, left, top, side)
    if labelled:
        for index, name in enumerate(shown):
            middle = top + (index + 0.5) * side + 4
            parts.append(text(left - 10 - 12 * lcz, middle, name, "cn-digit", "end"))
            parts.append(text(left + (index + 0.5) * side, top - 8, columns[index], "cn-small", "middle"))
            parts.append(text(left + grid + right - 4, middle, f"{support[index]:,}", "cn-small", "end"))
            if lcz:
                parts.append(_swatch(left - 16, middle - 9, facts.CLASSES[index].colour))
        parts.append(text(left + grid + right - 4, top - 8, "patches", "cn-small", "end"))
    if lcz:
        parts += _groups(left, top, side, count)
    parts.append(text(left + grid / 2, 14, "predicted", "cn-strong", "middle"))
    parts.append(_sideways(12.0, top + grid / 2, "true"))
    parts += _scale(left, top + grid + 14, grid)
    label = f"Confusion matrix of {count} classes, {int(support.sum())} patches"
    return drawing(left + grid + right + 24, top + grid + 48, label, *parts, least=min(left + grid + right, 640))


def compact_confusion(confusion: NDArray[np.int64], classes: Sequence[str], title: str) -> ET.Element:
    """Draw the confusion matrix with classes by number, as in the paper's Fig. 2, small enough for two in a row.

    True classes are rows, normalised to 1. Tooltips give the patches.
    """
    count = len(classes)
    side = float(np.clip(476 / count, 6, 60))
    lcz = tuple(classes) == facts.NAMES
    left, top, grid = 46.0, 62.0, side * count
    support = confusion.sum(axis=1)
    parts = [text(0, 15, title, "cn-big"), element("rect", x=left, y=top, width=grid, height=grid, class_="cn-frame")]
    parts += [
        element("rect", x=left, y=top + row * side, width=grid, height=side, class_="cn-absent")
        for row in np.flatnonzero(support == 0)
    ]
    parts += _cells(confusion, [f"{index + 1} {name}" for index, name in enumerate(classes)], left, top, side)
    step = max(1, round(18 / side))
    for index in range(0, count, step):
        middle = (index + 0.5) * side
        parts.append(text(left - 7, top + middle + 4, f"{index + 1}", "cn-small", "end"))
        parts.append(text(left + middle, top - 7, f"{index + 1}", "cn-small", "middle"))
    if lcz:
        parts += _groups(left, top, side, count)
    parts.append(text(left + grid / 2, top - 26, "predicted", "cn-strong", "middle"))
    parts.append(_sideways(12.0, top + grid / 2, "true"))
    parts += _scale(left, top + grid + 14, grid)
    label = f"{title}: confusion matrix of {count} classes, {int(support.sum())} patches"
    made = drawing(left + grid + 20, top + grid + 48, label, *parts, grow=1.1)
    made.set("class", "cn-figure cn-compact")
    return made


def alpha_figure(
    edges: Sequence[Sequence[int]],
    operations: Sequence[str],
    probabilities: Sequence[Sequence[float]],
    genotype: Genotype | None,
) -> ET.Element:
    """Draw the probability of each operation on each edge, and outline the choices of the genotype.

    `edges` are (computed node, source state), as in `compactnas.space.search_space.Space.edges`.
    """
    if genotype and genotype.layout_of.residual:
        rows = row_names(len(edges), len(genotype.depths))
        taken_rows = layer_rows(len(edges), len(genotype.depths)).live(genotype.depths)
        picks = [(row, node[0][0]) for row, node in zip(taken_rows, genotype.nodes, strict=False)]
        outlined = {(row, operations.index(name)) for row, name in picks if name in operations}
        columns = [operation_label(name) for name in operations]
        return _heat(rows, columns, probabilities, outlined, "row", "Probability of each operation in each row")
    inputs = (
        LAYOUTS[genotype.layout].inputs if genotype else (2 if list(map(list, edges))[:2] == [[0, 0], [0, 1]] else 1)
    )
    rows = [f"{state_name(source, inputs)} → {state_name(node + inputs, inputs)}" for node, source in edges]
    chosen = set()
    if genotype:
        taken = {(node, source): name for node, row in enumerate(genotype.nodes) for name, source in row}
        chosen = {
            (index, operations.index(taken[node, source]))
            for index, (node, source) in enumerate(edges)
            if taken.get((node, source)) in operations
        }
    columns = [operation_label(name) for name in operations]
    return _heat(rows, columns, probabilities, chosen, "edge", "Probability of each operation on each edge")


def depth_figure(
    depths: Sequence[int], probabilities: Sequence[Sequence[float]], genotype: Genotype | None
) -> ET.Element:
    """Draw the probability of each depth of each block, and outline the choices of the genotype."""
    taken = genotype.depths if genotype else ()
    chosen = {(block, list(depths).index(depth)) for block, depth in enumerate(taken) if depth in depths}
    rows = [f"block {block + 1}" for block in range(len(probabilities))]
    columns = [f"{depth}" for depth in depths]
    return _heat(rows, columns, probabilities, chosen, "depth", "Probability of each depth of each block")


def width_figure(
    widths: Sequence[Sequence[int]], probabilities: Sequence[Sequence[float]], genotype: Genotype | None
) -> ET.Element:
    """Draw the probability of each width of each block, and outline the choices of the genotype."""
    taken = genotype.block_channels if genotype else ()
    pairs = enumerate(zip(taken, widths, strict=False))
    chosen = {(block, list(row).index(width)) for block, (width, row) in pairs if width in row}
    rows = [f"block {block + 1}, of {row[-1]}" for block, row in enumerate(widths)]
    columns = [f"{100 * width / widths[0][-1]:.0f} %" for width in widths[0]]
    return _heat(rows, columns, probabilities, chosen, "width", "Probability of each width of each block")


def _heat(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float]],
    chosen: set[tuple[int, int]],
    corner: str,
    label: str,
) -> ET.Element:
    width = max(46.0, max(len(name) for name in columns) * CHARACTER_PX * 0.93 + 10)
    height, left, top = 30.0, 24 + max(len(name) for name in [*rows, corner]) * CHARACTER_PX, 28.0
    parts = [text(left - 10, top - 10, corner, "cn-small", "end")]
    parts += [text(left + (c + 0.5) * width, top - 10, name, "cn-small", "middle") for c, name in enumerate(columns)]
    for r, name in enumerate(rows):
        parts.append(text(left - 10, top + (r + 0.5) * height + 4, name, "", "end"))
        for c, value in enumerate(values[r][: len(columns)]):
            x, y = left + c * width, top + r * height
            tip = f"{name}, {columns[c]}: {value:.3f}"
            parts.append(_cell(x, y, width - 2, height - 2, value, f"{value:.2f}".removeprefix("0"), tip))
    for r, c in sorted(chosen):
        x, y = left + c * width, top + r * height
        parts.append(element("rect", x=x - 1, y=y - 1, width=width, height=height, rx=4, class_="cn-chosen"))
        parts.append(element("rect", x=x + 1, y=y + 1, width=width - 4, height=height - 4, rx=2, class_="cn-chosen-in"))
    total = left + width * len(columns) + 6
    return drawing(total, top + height * len(rows) + 6, label, *parts, least=min(total, 560))


def _cells(
    confusion: NDArray[np.int64], names: Sequence[str], left: float, top: float, side: float
) -> list[ET.Element]:
    """Draw the cells that hold a patch; the others show the background."""
    support = confusion.sum(axis=1)
    parts = []
    for row, column in np.argwhere(confusion):
        n, share = int(confusion[row, column]), float(confusion[row, column] / support[row])
        digits = f"{100 * share:.0f}" if side >= DIGITS_FROM_PX and share >= 0.005 else ""
        tip = f"{names[row]} predicted as {names[column]}: {n:,} of {int(support[row]):,} patches ({100 * share:.1f} %)"
        if row == column:
            tip = f"{names[row]} correct: {n:,} of {int(support[row]):,} patches ({100 * share:.1f} %)"
        parts.append(_cell(left + column * side, top + row * side, side, side, share, digits, tip))
    return parts


def _cell(x: float, y: float, width: float, height: float, share: float, digits: str, tip: str) -> ET.Element:
    cell = element(
        "g",
        element("title", tip),
        element("rect", x=x, y=y, width=width, height=height, class_="cn-heat", fill_opacity=f"{strength(share):.3f}"),
    )
    if digits:
        ink = "cn-digit cn-on-heat" if share > DARK_FROM else "cn-digit"
        cell.append(text(x + width / 2, y + height / 2 + 4, digits, ink, "middle"))
    return cell


def _swatch(x: float, y: float, hex_colour: str) -> ET.Element:
    return element("rect", x=x, y=y, width=10, height=10, rx=2, fill=hex_colour, class_="cn-swatch")


def _groups(left: float, top: float, side: float, count: int) -> list[ET.Element]:
    """Draw the lines between the built and the natural classes."""
    at = facts.BUILT * side
    return [
        line(left + at, top, left + at, top + side * count, "cn-divide"),
        line(left, top + at, left + side * count, top + at, "cn-divide"),
    ]


def _sideways(x: float, y: float, content: str) -> ET.Element:
    made = text(x, y, content, "cn-strong", "middle")
    made.set("transform", f"rotate(-90 {x:.0f} {y:.0f})")
    return made


def _scale(x: float, y: float, grid: float) -> list[ET.Element]:
    """Draw the colour bar, from 0 to 100 % of a row; 0 is blank."""
    width = min(220.0, grid * 0.6)
    steps = 44
    start = x + grid - width
    bar = [
        element(
            "rect",
            x=start + i * width / steps,
            y=y,
            width=width / steps,
            height=9,
            class_="cn-heat",
            fill_opacity=f"{strength(i / (steps - 1)):.3f}",
        )
        for i in range(steps)
    ]
    if width >= NAMED_FROM_PX:
        bar.append(text(start + 0.43 * width, y + 24, "of the true class", "cn-small", "middle"))
    return [
        *bar,
        element("rect", x=start, y=y, width=width, height=9, class_="cn-frame"),
        text(start, y + 24, "0", "cn-small"),
        text(start + width, y + 24, "100 %", "cn-small", "end"),
    ]
