"""Draw horizontal bars with parts side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from compactnas.reporting.figures.svg import drawing, element, line, text, text_px

WIDTH, ROW_PX, BAR_PX, TOP = 460.0, 30.0, 20.0, 14.0


@dataclass(frozen=True)
class Part:
    """A part of a bar.

    Attributes:
        name: Text of the tooltip.
        value: Length of the part.
        colour: CSS class of the colour.
        text: Text on the part, if there is room.
    """

    name: str
    value: float
    colour: str
    text: str = ""


@dataclass(frozen=True)
class Bar:
    """A row: its name, its parts, and the text at its end."""

    name: str
    parts: tuple[Part, ...]
    end: str


def bars(rows: Sequence[Bar], label: str, *, whole: bool = False) -> ET.Element | None:
    """Draw rows on one scale, or all equally long if `whole` is set; None if there is nothing to draw."""
    drawn = [row for row in rows if sum(part.value for part in row.parts) > 0]
    if not drawn:
        return None
    left = 14 + max(text_px(row.name, strong=True) for row in drawn)
    right = WIDTH - 12 - max(text_px(row.end) for row in drawn)
    longest = max(sum(part.value for part in row.parts) for row in drawn)
    bottom = TOP + len(drawn) * ROW_PX
    figure = [line(left, TOP - 6, left, bottom, "cn-axis")]
    for place, row in enumerate(drawn):
        y = TOP + place * ROW_PX
        scale = (right - left) / (sum(part.value for part in row.parts) if whole else longest)
        figure.append(text(left - 10, y + 15, row.name, "cn-strong", "end"))
        x = left
        for part in row.parts:
            if part.value > 0:
                figure.append(_part(part, x, y, part.value * scale, row.name))
                x += part.value * scale
        figure.append(text(x + 8, y + 15, row.end, "cn-muted"))
    return drawing(WIDTH, bottom + 4, label, *figure, least=310, grow=1.22)


def _part(part: Part, x: float, y: float, width: float, row: str) -> ET.Element:
    made = element(
        "g",
        element("title", f"{row}, {part.name}"),
        element("rect", x=x, y=y, width=max(width, 0.5), height=BAR_PX, class_="cn-bar"),
        class_=part.colour,
    )
    if part.text and width > text_px(part.text, strong=True) + 2:
        made.append(text(x + width / 2, y + 14, part.text, "cn-digit cn-on-bar", "middle"))
    return made
