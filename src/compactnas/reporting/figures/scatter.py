"""Draw accuracy against cost: labelled dots with their spread, and the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.etree import ElementTree as ET

from compactnas.reporting.figures.charts import LEFT, Axes, drawable, frame, heading, leader, nice_ticks, number
from compactnas.reporting.figures.svg import drawing, element, line, text, text_px

BOTTOM, RIGHT = 30.0, 84.0
LABEL_PX, LONGEST, DOT_PX, CAP_PX = 16.0, 32, 5.5, 4.0

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in px."""

MACS, PARAMETERS = ("MACs (M)", "M MACs"), ("params (M)", "M parameters")
"""Name of each cost's axis, and the unit after a figure."""


@dataclass(frozen=True)
class Dot:
    """A point of the figure.

    Attributes:
        name: Label of the dot.
        x: Cost, above 0.
        y: Accuracy in per cent.
        colour: Number of the colour, 0 to 5.
        bar: Lower and upper end of the error bar; None for none.
    """

    name: str
    x: float
    y: float
    colour: int
    bar: tuple[float, float] | None = None


@dataclass(frozen=True)
class Size:
    """Size of a figure.

    Attributes:
        width: Width in px.
        height: Height in px.
        least: Smallest width in px; on a narrower page, the figure scrolls instead of shrinking.
        inset: Room for labels left of the cheapest dot, as a share of the dots' span.
    """

    width: float
    height: float
    least: float
    inset: float = 0.0


HALF = Size(430.0, 320.0, 300.0, 0.3)
"""Size of two figures side by side; it also fits a phone."""


def plane(
    dots: Sequence[Dot], title: str, cost: tuple[str, str], size: Size, front: Sequence[int] = ()
) -> ET.Element | None:
    """Draw OA over a cost on a logarithmic axis; None for fewer than two dots.

    Args:
        dots: Dots to draw; those without a finite place are left out.
        title: Title of the figure.
        cost: Name of the axis, and the unit after a figure.
        size: Size of the figure.
        front: Indices of the dots on the Pareto front, by rising cost; if there are any, the other dots are hollow.
    """
    known = {index: dot for index, dot in enumerate(dots) if dot.x > 0 and drawable(dot.y)}
    if len(known) < 2:
        return None
    decades = [math.log10(dot.x) for dot in known.values()]
    low, high = min(decades), max(decades)
    low, high = low - max(0.12, size.inset * (high - low)), high + 0.12
    ends = [end for dot in known.values() for end in (dot.y, *(dot.bar or ()))]
    room = 0.04 * (max(ends) - min(ends))  # so that no dot lies on the axis
    y_ticks = nice_ticks([min(ends) - room, max(ends) + room], 6)
    axes = Axes((low, high), (y_ticks[0], y_ticks[-1]), size.width - RIGHT, size.height - BOTTOM)
    stops = _stops(low, high)
    parts = [heading(title, f"OA in %, by {cost[1].replace('M ', 'millions of ')}")]
    parts += frame(axes, [math.log10(x) for x in stops], y_ticks, cost[0], [number(x) for x in stops])
    places = {index: axes.at(math.log10(dot.x), dot.y) for index, dot in known.items()}
    steps = [places[index] for index in front if index in places]
    parts += _front(steps)
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in places.values()]
    for (x, y), (x_next, y_next) in pairwise(steps):
        taken += [(x, y - 1, x_next, y + 1), (x_next - 1, y_next, x_next + 1, y)]
    for dot in known.values():
        if dot.bar:
            x, bottom = axes.at(math.log10(dot.x), dot.bar[0])
            top = axes.at(math.log10(dot.x), dot.bar[1])[1]
            taken.append((x - CAP_PX, top, x + CAP_PX, bottom))
            parts.append(_error(x, top, bottom, dot.colour))
    for index, dot in sorted(known.items(), key=lambda item: places[item[0]][1]):  # from the top, so fewer lines cross
        parts += _dot(dot, places[index], taken, size, cost[1], hollow=bool(front) and index not in front)
    label = "OA against " + "; ".join(
        [cost[0], *(f"{dot.name} {dot.y:.2f} % at {number(dot.x)} {cost[1]}" for dot in known.values())]
    )
    return drawing(size.width, size.height, label, *parts, least=size.least, grow=1.25)


def _stops(low: float, high: float) -> list[float]:
    """List round costs between two decades: 1, 2 and 5, or all digits if that would be fewer than three."""
    coarse, fine = (
        [m * 10.0**e for e in range(-9, 7) for m in digits if low <= math.log10(m) + e <= high]
        for digits in ((1, 2, 5), range(1, 10))
    )
    return coarse if len(coarse) > 2 else fine


def _front(places: Sequence[tuple[float, float]]) -> list[ET.Element]:
    """Draw the front as steps: the best accuracy for at most each cost."""
    if len(places) < 2:
        return []
    path = f"M{places[0][0]:.1f} {places[0][1]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in places[1:])
    return [element("path", element("title", "Pareto front"), d=path, class_="cn-front")]


def _error(x: float, top: float, bottom: float, colour: int) -> ET.Element:
    path = f"M{x:.1f} {top:.1f}V{bottom:.1f}" + "".join(
        f"M{x - CAP_PX:.1f} {y:.1f}h{2 * CAP_PX}" for y in (top, bottom)
    )
    return element("path", d=path, class_=f"cn-error cn-c{colour}")


def _dot(
    dot: Dot, place: tuple[float, float], taken: list[Box], size: Size, unit: str, *, hollow: bool
) -> list[ET.Element]:
    """Draw a dot and its label in a free place; a label further away gets a line to its dot."""
    x, y = place
    shown = dot.name if len(dot.name) <= LONGEST else dot.name[: LONGEST - 1] + "…"
    label_x, label_y, anchor = _free_place(x, y, text_px(shown), taken, size)
    parts = []
    if abs(label_y - y) > LABEL_PX * 0.6:
        parts.append(_to_label(x, y, label_x + (3 if anchor == "end" else -3), label_y, dot.colour))
    bar = f" ({dot.bar[0]:.2f} to {dot.bar[1]:.2f})" if dot.bar else ""
    tip = element("title", f"{dot.name}: OA {dot.y:.2f} %{bar}, {number(dot.x)} {unit}")
    kind = "cn-hollow" if hollow else "cn-dot"
    parts.append(element("circle", tip, cx=x, cy=y, r=DOT_PX - hollow, class_=f"{kind} cn-c{dot.colour}"))
    parts.append(text(label_x, label_y + 4, shown, "cn-halo", anchor))
    return parts


def _to_label(x: float, y: float, x_end: float, y_end: float, colour: int) -> ET.Element:
    """Draw a thin line from a dot to its label."""
    if x_end > x:
        return leader(x, y, x_end, y_end, colour)
    return line(x - 5, y, x_end, y_end, f"cn-leader cn-c{colour}")


def _free_place(x: float, y: float, width: float, taken: list[Box], size: Size) -> tuple[float, float, str]:
    """Find a free place for a dot's label: x, y and anchor; next to the dot if possible."""
    rows = [0.0, *(sign * step * LABEL_PX / 2 for step in range(1, 80) for sign in (-1.0, 1.0))]
    for shift in rows:
        for anchor, left in (("start", x + 11), ("end", x - 11 - width)):
            box = (left, y + shift - 7, left + width, y + shift + 7)
            inside = box[0] >= LEFT and box[2] <= size.width and box[1] >= 22 and box[3] <= size.height - BOTTOM + 4
            if inside and not any(_meet(box, other) for other in taken):
                taken.append(box)
                return (x + 11 if anchor == "start" else x - 11), y + shift, anchor
    return x + 11, y, "start"  # too many labels for the figure: they overlap, but tooltips do not


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
