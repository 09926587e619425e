"""Draw the front that `compactnas pareto` found in a run's folder."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree as ET

from compactnas.errors import UserError
from compactnas.io.atomic import read_json
from compactnas.reporting.figures.scatter import HALF, MACS, Dot, plane
from compactnas.reporting.run.reading import AGAIN, RunFolder
from compactnas.selection.pareto_front import ACCURACIES, decides


def front_figure(run: RunFolder) -> ET.Element | None:
    """Draw the accuracy that decides the front of `pareto/front.json` against MACs; None without that file.

    Raises:
        UserError: The file is damaged.
    """
    file = run.path / "pareto" / "front.json"
    if not file.exists():
        return None
    rows = read_json(file, AGAIN)
    try:
        key = decides([name for name in rows[0] if all(name in row for row in rows)])
        dots = [Dot(str(row["name"]), _number(row["macs"]) / 1e6, 100 * _number(row[key]), 0) for row in rows]
        front = sorted((i for i, row in enumerate(rows) if row["front"] is True), key=lambda i: dots[i].x)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"{file}: not a front ({type(error).__name__}: {error}); {AGAIN}") from None
    return plane(dots, f"Front: {ACCURACIES[key]}", MACS, HALF, front)


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"{str(value)[:40]!r} is not a number")
    return float(value)
