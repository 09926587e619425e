"""Accuracy against cost: one labelled dot for each run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from compactnas.report.figures.charts import Axes, frame, heading, leader, nice_ticks, number
from compactnas.report.figures.svg import CHARACTER_PX, drawing, element, text

WIDTH, HEIGHT, BOTTOM, RIGHT = 720.0, 320.0, 30.0, 76.0
LABEL_PX, LONGEST = 16.0, 32

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in px."""


def scatter(points: Sequence[tuple[str, float, float]]) -> ET.Element | None:
    """OA in per cent over MACs in millions, on a logarithmic axis; None below two runs.

    Args:
        points: (name, MACs in millions, OA in per cent) of each run.
    """
    known = [(name, x, y) for name, x, y in points if x > 0 and math.isfinite(y)]
    if len(known) < 2:
        return None
    decades = [math.log10(x) for _, x, _ in known]
    low, high = min(decades) - 0.12, max(decades) + 0.12
    y_ticks = nice_ticks([y for _, _, y in known], 6)
    axes = Axes((low, high), (y_ticks[0], y_ticks[-1]), WIDTH - RIGHT, HEIGHT - BOTTOM)
    stops = [m * 10.0**e for e in range(-6, 7) for m in (1, 2, 5) if low <= math.log10(m) + e <= high]
    parts = [heading("Accuracy against cost", "OA in %, by millions of MACs")]
    parts += frame(axes, [math.log10(x) for x in stops], y_ticks, "MACs (M)", [number(x) for x in stops])
    places = [axes.at(math.log10(x), y) for _, x, y in known]
    taken: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in places]
    for index, ((name, macs, oa), (x, y)) in enumerate(zip(known, places, strict=True)):
        shown = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
        label_x, label_y, anchor = _free_place(x, y, len(shown) * CHARACTER_PX, taken)
        if label_y != y:
            parts.append(leader(x - 5, y, label_x + (3 if anchor == "end" else -3), label_y, index % 6))
        tip = element("title", f"{name}: OA {oa:.2f} %, {macs:.2f} M MACs")
        parts.append(element("circle", tip, cx=x, cy=y, r=5.5, class_=f"cn-dot cn-c{index % 6}"))
        parts.append(text(label_x, label_y + 4, shown, "", anchor))
    label = "OA against MACs: " + "; ".join(f"{name} {y:.2f} % at {x:.2f} M" for name, x, y in known)
    return drawing(WIDTH, HEIGHT, label, *parts, least=560, grow=1.25)


def _free_place(x: float, y: float, width: float, taken: list[Box]) -> tuple[float, float, str]:
    """Where a dot's label meets nothing: x, y and anchor. Beside the dot if it can be, else further up or down."""
    rows = [0.0, *(sign * step * LABEL_PX for step in range(1, 40) for sign in (-1.0, 1.0))]
    for shift in rows:
        for anchor, left in (("start", x + 11), ("end", x - 11 - width)):
            box = (left, y + shift - 7, left + width, y + shift + 7)
            inside = box[0] >= 0 and box[2] <= WIDTH and box[1] >= 22 and box[3] <= HEIGHT - BOTTOM + 4
            if inside and not any(_meet(box, other) for other in taken):
                taken.append(box)
                return (x + 11 if anchor == "start" else x - 11), y + shift, anchor
    return x + 11, y, "start"  # more labels than the figure can hold: they stand on each other, tooltips do not


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
