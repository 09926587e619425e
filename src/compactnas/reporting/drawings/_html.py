"""Pieces of HTML for notebooks. Figures are images of their own, so that their style cannot reach the notebook."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from markupsafe import escape

from compactnas.reporting.figures.svg import standalone


def image(figure: ET.Element) -> str:
    """Convert a figure to an image element."""
    title = figure.findtext("title") or "figure"
    data = b64encode(standalone(figure).encode()).decode()
    return f'<img alt="{escape(title)}" style="max-width:100%" src="data:image/svg+xml;base64,{data}">'


def table(rows: Sequence[tuple[str, str, str]]) -> str:
    """Make a table of names, values and meanings."""
    cells = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th><td style="text-align:right">{escape(value)}</td>'
        f'<td style="text-align:left">{escape(meaning)}</td></tr>'
        for name, value, meaning in rows
    )
    return f"<table>{cells}</table>"
