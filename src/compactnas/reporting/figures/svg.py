"""Build small pieces of SVG as elements, so that every text and attribute is escaped.

Colours are variables in `figures.css`, which follow the reader's light or dark scheme.
"""

from __future__ import annotations

import unicodedata
from importlib import resources
from xml.etree import ElementTree as ET

from compactnas.reporting.figures.operations import operation_styles

TIMES, MINUS = "\N{MULTIPLICATION SIGN}", "\N{MINUS SIGN}"
Number = int | float
"""Type of a coordinate. Run-time type checkers do not accept an int as a float."""

CHARACTER_PX = 6.9
"""Width of a character of 12 px text, rounded up because fonts differ."""


WIDE = {"+": 10.5, "M": 10.5, "W": 11.9, "m": 11.8, "w": 9.9, "%": 11.5, MINUS: 10.5}
"""Widths of characters that are much wider."""


def text_px(content: str, *, strong: bool = False) -> float:
    """Estimate the width of 12 px text, rounded up. Names of methods have many capitals and plus signs."""
    width = sum(WIDE.get(c, 8.6 if c.isupper() else CHARACTER_PX) for c in content)
    return 1.12 * width if strong else width


def stylesheet() -> str:
    """Read the colours and line styles of all figures."""
    return resources.files(__package__).joinpath("figures.css").read_text(encoding="utf-8") + operation_styles()


def element(tag: str, *children: ET.Element | str, **attributes: str | Number) -> ET.Element:
    """Make an element. `class_` and `stroke_width` become `class` and `stroke-width`; numbers are rounded to 0.01."""
    made = ET.Element(tag, {_name(key): _value(value) for key, value in attributes.items()})
    for child in children:
        if isinstance(child, str):
            made.text = (made.text or "") + clean(child)
        else:
            made.append(child)
    return made


def text(x: Number, y: Number, content: str, class_: str = "", anchor: str = "start") -> ET.Element:
    """Make one line of text with its baseline at `y`; `anchor` is start, middle or end."""
    return element("text", content, x=x, y=y, class_=class_, text_anchor=anchor)


def line(x1: Number, y1: Number, x2: Number, y2: Number, class_: str) -> ET.Element:
    """Make a straight line."""
    return element("path", d=f"M{x1:.2f} {y1:.2f}L{x2:.2f} {y2:.2f}", class_=class_)


def drawing(
    width: Number, height: Number, label: str, *children: ET.Element, least: Number = 0, grow: Number = 1
) -> ET.Element:
    """Make a figure that scales with its container, from `least` px of width to `grow` times its own width."""
    return element(
        "svg",
        element("title", label),
        *children,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        class_="cn-figure",
        style=f"max-width:{width * grow:.0f}px;min-width:{min(least, width):.0f}px",
    )


def inline(figure: ET.Element) -> str:
    """Convert a figure to markup for a page with the stylesheet; safe, because it is serialised from elements."""
    return ET.tostring(figure, encoding="unicode")


def standalone(figure: ET.Element) -> str:
    """Convert a figure to the text of an SVG file."""
    box = (figure.get("viewBox") or "").split()
    whole = ET.Element(
        "svg", {**figure.attrib, "xmlns": "http://www.w3.org/2000/svg", "width": box[2], "height": box[3]}
    )
    whole.append(element("style", stylesheet()))
    whole.append(element("rect", width=float(box[2]), height=float(box[3]), class_="cn-card"))
    whole.extend(figure)
    return ET.tostring(whole, encoding="unicode")


def clean(content: str) -> str:
    """Replace characters that XML does not allow: control characters, lone surrogates, unassigned code points."""
    bad = {c for c in set(content) if unicodedata.category(c) in ("Cc", "Cs", "Cn") and c not in "\n\t"}
    return "".join("\N{REPLACEMENT CHARACTER}" if c in bad else c for c in content) if bad else content


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: str | Number) -> str:
    return clean(value) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
