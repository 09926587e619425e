"""The paper's tables: methods as columns, measures as rows, one table a split, with mean, deviation and n."""

from __future__ import annotations

import csv
import json
import statistics
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from compactnas.study.config import StudyConfig
from compactnas.study.jobs import RANDOM, RANDOM_SEARCH, expand

ROWS = (
    ("OA %", "oa", 100.0, 2),
    ("AA %", "aa", 100.0, 2),
    ("kappa", "kappa", 1.0, 3),
    ("parameters M", "parameters", 1e-6, 4),
    ("MACs M", "macs", 1e-6, 2),
)
"""Title, name in `evaluation.json`, factor, decimals."""


@dataclass(frozen=True)
class Table:
    """One split.

    Attributes:
        split: its name.
        columns: methods, in the paper's order: baselines, then searched ones, then random cells.
        rows: title of each row and its cells.
    """

    split: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]

    def markdown(self) -> str:
        """For a page."""
        lines = [f"| {self.split} | {' | '.join(self.columns)} |", "|---|" + "---|" * len(self.columns)]
        lines += [f"| {title} | {' | '.join(cells)} |" for title, cells in self.rows]
        return "\n".join(lines) + "\n"

    def csv(self) -> str:
        """For a spreadsheet."""
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            [[self.split, *self.columns], *([title, *cells] for title, cells in self.rows)]
        )
        return text.getvalue()

    def latex(self) -> str:
        """For a paper: a tabular."""

        def line(cells: list[str]) -> str:
            escaped = (cell.replace("%", r"\%").replace("_", r"\_").replace("±", r"$\pm$") for cell in cells)
            return " & ".join(escaped) + r" \\"

        return "\n".join(
            [
                rf"\begin{{tabular}}{{l{'r' * len(self.columns)}}}",
                line([self.split, *self.columns]),
                r"\hline",
                *(line([title, *cells]) for title, cells in self.rows),
                r"\end{tabular}",
                "",
            ]
        )


def study_tables(study: StudyConfig, root: Path) -> list[Table]:
    """Tables of what is done so far."""
    tables = []
    for split in study.splits:
        found: dict[str, list[dict[str, Any]]] = {}
        for job in expand(study):
            if job.split == split and job.done(root):
                raw = json.loads((job.folder(root) / "evaluation.json").read_text(encoding="utf-8"))
                found.setdefault(job.method, []).append(raw | raw["measures"])
        order = [*study.baselines, *study.methods, RANDOM, RANDOM_SEARCH]
        columns = tuple(sorted(found, key=order.index))
        rows = [
            (title, tuple(_spread(found[method], key, factor, digits) for method in columns))
            for title, key, factor, digits in ROWS
        ]
        rows.append(("depth", tuple(_depths(found[method]) for method in columns)))
        rows.append(("n", tuple(str(len(found[method])) for method in columns)))
        tables.append(Table(split, columns, tuple(rows)))
    return tables


def _spread(runs: list[dict[str, Any]], key: str, factor: float, digits: int) -> str:
    """Mean and standard deviation; the mean alone where all are the same or there is one."""
    values = [run[key] * factor for run in runs]
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(set(values)) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def _depths(runs: list[dict[str, Any]]) -> str:
    """Depths of the blocks, each kind once."""
    return " ".join(dict.fromkeys("-".join(map(str, run["depths"])) for run in runs if run["depths"]))
