"""Measures: a table with their meanings."""

from __future__ import annotations

from compactnas.evaluation.metrics import Measures
from compactnas.reporting.drawings._html import table
from compactnas.reporting.run.tables import COLUMNS


def _draw(measures: Measures) -> str:
    known = [(column, getattr(measures, column.measure, None)) for column in COLUMNS]
    return table([(c.name, f"{v * c.scale:.{c.digits}f}", c.meaning) for c, v in known if v is not None])


DRAWING = _draw
