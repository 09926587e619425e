"""Draw the F1 score of each class as a bar in the class's own colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from compactnas.reporting.figures.charts import heading
from compactnas.reporting.figures.svg import drawing, element, line, text, text_px

WIDTH, ROW_PX, BAR_PX, TOP, END_PX = 430.0, 23.0, 15.0, 46.0, 62.0
MOST_CLASSES, LONGEST = 40, 26
"""With more classes, or longer names, the figure cannot be read."""


@dataclass(frozen=True)
class Score:
    """F1 of a class in per cent, None without patches; its name, number of patches, and colour as "#RRGGBB"."""

    name: str
    patches: int
    f1: float | None
    colour: str


def scores_figure(scores: Sequence[Score]) -> ET.Element | None:
    """Draw the scores from 0 to 100 %, with the patches of each class at the right; None for too many classes."""
    if not 0 < len(scores) <= MOST_CLASSES:
        return None
    shown = [one.name if len(one.name) <= LONGEST else one.name[: LONGEST - 1] + "…" for one in scores]
    left = 12 + max(map(text_px, shown))
    right, bottom = WIDTH - END_PX - 42, TOP + len(scores) * ROW_PX
    parts = [heading("F1 of each class", "%")]
    for share in (0, 50, 100):
        x = left + share / 100 * (right - left)
        parts += [line(x, TOP - 6, x, bottom, "cn-rule"), text(x, TOP - 11, f"{share}", "cn-small", "middle")]
    parts.append(text(WIDTH - 4, TOP - 11, "patches", "cn-small", "end"))
    for place, (name, one) in enumerate(zip(shown, scores, strict=True)):
        y = TOP + place * ROW_PX
        middle = y + BAR_PX / 2 + 4
        parts.append(text(left - 8, middle, name, "", "end"))
        parts.append(text(WIDTH - 4, middle, f"{one.patches:,}", "cn-small", "end"))
        if one.f1 is None:
            parts.append(text(left + 6, middle, "not in this part", "cn-small"))
            continue
        width = max(one.f1 / 100 * (right - left), 0.5)
        tip = element("title", f"{one.name}: F1 {one.f1:.1f} % on {one.patches:,} patches")
        bar = element("rect", tip, x=left, y=y, width=width, height=BAR_PX, rx=2, fill=one.colour, class_="cn-swatch")
        parts += [bar, text(left + width + 6, middle, f"{one.f1:.1f}", "cn-digit")]
    label = "F1 of each class: " + ", ".join(f"{one.name} {one.f1:.1f} %" for one in scores if one.f1 is not None)
    return drawing(WIDTH, bottom + 4, label, *parts, least=300, grow=1.3)
