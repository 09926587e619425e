"""Evaluation: what was measured, the measures with cost and calibration, and the confusion matrix."""

from __future__ import annotations

from markupsafe import escape

from compactnas.evaluation.evaluation import Evaluation
from compactnas.reporting.drawings._html import image, table
from compactnas.reporting.figures.grids import confusion_figure
from compactnas.reporting.run.evidence import calibration_words, interval_words, majority_words
from compactnas.reporting.run.tables import COLUMNS


def _draw(evaluation: Evaluation) -> str:
    rows = []
    for column in COLUMNS:
        value = getattr(evaluation.measures, column.measure, getattr(evaluation, column.measure, None))
        if value is not None:
            rows.append((column.name, f"{value * column.scale:.{column.digits}f}", column.meaning))
    words = [majority_words(evaluation), interval_words(evaluation), calibration_words(evaluation)]
    said = "".join(f"<p>{escape(line[:1].upper() + line[1:])}.</p>" for line in words if line)
    head = f"<p><b>{escape(evaluation.model)}</b>: {evaluation.n:,} patches of the {escape(evaluation.part)} part</p>"
    return f"{head}{table(rows)}{said}<div>{image(confusion_figure(evaluation.confusion, evaluation.classes))}</div>"


DRAWING = _draw
