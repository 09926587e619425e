"""Write pages: one file each, without scripts or network access. All text from files is escaped."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from compactnas.errors import UserError
from compactnas.io.atomic import write_bytes
from compactnas.reporting.figures.svg import MINUS, clean, inline, stylesheet


def write_page(template: str, values: dict[str, Any], output: Path) -> Path:
    """Fill a template and write the page.

    Args:
        template: Name of the template, below `compactnas/reporting`.
        values: Values of the template, without the stylesheet of the figures.
        output: File to write.

    Raises:
        UserError: `output` is not writable.
    """
    page = _environment().get_template(template).render(values | {"figures": stylesheet()})
    try:
        write_bytes(Path(output), page.encode("utf-8", errors="replace"))
    except OSError as error:
        raise UserError(f"{output}: {error.strerror or error}; choose another place for the report") from None
    return Path(output)


def markup(figure: ET.Element | None) -> str:
    """Convert a figure to markup; empty if there is no figure."""
    return "" if figure is None else inline(figure)


def ticked(value: str) -> Markup:
    """Escape a text, and mark its `backticked` words as code."""
    return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(clean(value)))))  # noqa: S704  # escaped first


def signed(value: float, digits: int) -> str:
    """Format a difference with its sign, using a true minus."""
    return f"{value:+.{digits}f}".replace("-", MINUS)


@cache
def _environment() -> Environment:
    """Make the environment once, because it keeps its compiled templates."""
    made = Environment(
        loader=PackageLoader("compactnas.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(ticked=ticked, signed=signed)
    return made


def _finalize(value: object) -> object:
    """Clean text on its way into the page. Figures are clean already, and marked as safe."""
    return clean(value) if type(value) is str else value
