"""Write a plain figure as PDF, with text that can be selected: each element becomes an artist of matplotlib."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path as Outline

POINTS = 0.75
"""Points of a px; 96 px are an inch."""
NARROWER = 0.88
"""Size of matplotlib's own font, DejaVu Sans, that is as wide as Helvetica, for which figures leave room."""
SETTINGS: Any = {"pdf.fonttype": 42, "svg.fonttype": "none", "font.family": "DejaVu Sans", "text.parse_math": False}
"""Text stays text (type 42), and a dollar sign in a name starts no formula."""
ANCHORS = {"start": "left", "middle": "center", "end": "right"}
BOLD_FROM = 600


def pdf_bytes(figure: ET.Element) -> bytes:
    """Draw a plain figure as PDF of one page. The same figure gives the same bytes: no date is written.

    Args:
        figure: Figure of `compactnas.reporting.figures.plain.plain_figure`.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # not pyplot, which would change the backend of a notebook

    width, height = float(figure.get("width", 1)), float(figure.get("height", 1))
    with rc_context(SETTINGS):
        page = Figure(figsize=(width / 96, height / 96))
        axes = page.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        axes.set_axis_off()
        for place, (element, opacity) in enumerate(_shapes(figure, 1.0)):
            _draw(axes, element, opacity, place)
        buffer = BytesIO()
        page.savefig(buffer, format="pdf", metadata={"CreationDate": None, "ModDate": None})
    return buffer.getvalue()


def _shapes(element: ET.Element, opacity: float) -> Iterator[tuple[ET.Element, float]]:
    """List the shapes in the order of drawing, with the opacity of all groups that they are in."""
    for child in element:
        own = opacity * float(child.get("opacity", 1))
        if child.tag == "g":
            yield from _shapes(child, own)
        elif child.tag in ("rect", "circle", "path", "text"):
            yield child, own


def _draw(axes: Axes, element: ET.Element, opacity: float, place: int) -> None:
    from matplotlib.patches import Circle, FancyBboxPatch, PathPatch, Rectangle

    if element.tag == "text":
        _write(axes, element, opacity, place)
        return
    style = _style(element, opacity) | {"zorder": place}
    if element.tag == "path":
        axes.add_patch(PathPatch(_outline(element.get("d", "")), **style))
    elif element.tag == "circle":
        axes.add_patch(Circle((_number(element, "cx"), _number(element, "cy")), _number(element, "r"), **style))
    else:
        corner, width, height = _corner(element), _number(element, "width"), _number(element, "height")
        radius = min(_number(element, "rx"), width / 2, height / 2)
        if radius:
            box = f"round,pad=0,rounding_size={radius}"
            axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle=box, mutation_aspect=1, **style))
        else:
            axes.add_patch(Rectangle(corner, width, height, **style))


def _corner(element: ET.Element) -> tuple[float, float]:
    return _number(element, "x"), _number(element, "y")


def _number(element: ET.Element, name: str) -> float:
    return float(element.get(name, 0))


def _style(element: ET.Element, opacity: float) -> dict[str, Any]:
    """Convert the style of a shape to matplotlib's names; SVG fills with black if nothing is said."""
    from matplotlib.colors import to_rgba

    fill, stroke = element.get("fill", "#000000"), element.get("stroke", "none")
    shown = opacity * float(element.get("fill-opacity", 1))
    found: dict[str, Any] = {
        "facecolor": "none" if fill == "none" else to_rgba(fill, shown),
        "edgecolor": "none" if stroke == "none" else to_rgba(stroke, opacity),
        "linewidth": POINTS * float(element.get("stroke-width", 1)) if stroke != "none" else 0.0,
        "capstyle": "round" if element.get("stroke-linecap") == "round" else "butt",
        "joinstyle": "round" if element.get("stroke-linejoin") == "round" else "miter",
    }
    if dashes := element.get("stroke-dasharray"):
        lengths = [POINTS * max(float(length), 0.1) for length in re.split(r"[\s,]+", dashes.strip())]
        found["linestyle"] = (0, lengths)
    return found


def _write(axes: Axes, element: ET.Element, opacity: float, place: int) -> None:
    """Write a line of text; its parts follow each other, each in its own style."""
    from matplotlib.colors import to_rgba
    from matplotlib.patheffects import withStroke

    pieces = [(element, element.text or ""), *((child, child.text or "") for child in element if child.tag == "tspan")]
    x, y = _corner(element)
    turned = 90 if "rotate(-90" in element.get("transform", "") else 0
    effects = []
    if element.get("paint-order") == "stroke":
        effects.append(withStroke(linewidth=POINTS * 3, foreground=element.get("stroke", "#ffffff")))
    for piece, content in pieces:
        if not content:
            continue
        strong = float(piece.get("font-weight", element.get("font-weight", 400))) >= BOLD_FROM
        size = float(piece.get("font-size", element.get("font-size", 12)))
        x += float(piece.get("dx", 0))
        drawn = axes.text(
            x,
            y,
            content,
            color=to_rgba(piece.get("fill", element.get("fill", "#000000")), opacity),
            fontsize=POINTS * NARROWER * size,
            fontweight="bold" if strong else "normal",
            ha="center" if turned else ANCHORS[element.get("text-anchor", "start")],
            va="baseline",
            rotation=turned,
            rotation_mode="anchor",
            zorder=place,
            path_effects=effects,
        )
        if len(pieces) > 1:
            x += drawn.get_window_extent().width * 96 / axes.figure.dpi


def _outline(path: str) -> Outline:
    """Read the path of a shape: the commands M, L, H, V, Q and Z, and their relative forms."""
    from matplotlib.path import Path as Outline

    words = re.findall(r"[A-Za-z]|-?\d*\.?\d+(?:e-?\d+)?", path)
    points: list[tuple[float, float]] = []
    codes: list[int] = []
    x = y = 0.0
    start, command = (0.0, 0.0), "M"
    while words:
        if words[0].isalpha():
            command = words.pop(0)
        kind, relative = command.upper(), command.islower()
        if kind == "Z":
            points.append(start)
            codes.append(int(Outline.CLOSEPOLY))
            x, y = start
            continue
        count = {"H": 1, "V": 1, "M": 2, "L": 2, "Q": 4}[kind]
        values = [float(words.pop(0)) for _ in range(count)]
        dx, dy = (x, y) if relative else (0.0, 0.0)
        if kind == "H":
            x = values[0] + dx
        elif kind == "V":
            y = values[0] + dy
        else:
            if kind == "Q":
                points.append((values[0] + dx, values[1] + dy))
                codes.append(int(Outline.CURVE3))
            x, y = values[-2] + dx, values[-1] + dy
        points.append((x, y))
        codes.append(int({"M": Outline.MOVETO, "Q": Outline.CURVE3}.get(kind, Outline.LINETO)))
        if kind == "M":
            start, command = (x, y), "l" if relative else "L"
    return Outline(points, codes)
