"""Write the paper's tables as Markdown, CSV and LaTeX. The same results give the same bytes."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from compactnas.errors import shown
from compactnas.reporting.study.folds import FOLD_NOTE, PAIR_COLUMNS, FoldResults, cells_of, fold_results
from compactnas.reporting.study.tables import Entry, SplitTable, split_table
from compactnas.reporting.study.view import StudyView
from compactnas.studies.config import StudyConfig
from compactnas.studies.reading import study_view

LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "→": r"$\to$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # after the end of a row, it would begin the row's distance
} | {character: "\\" + character for character in "&%$#_{}"}
MARKUP = re.compile(r"[\\`*_\[\]<>&|@~]|(?<=:)/(?=/)|(?<=www)\.", re.IGNORECASE)
"""Characters that begin markup or a link in Markdown, as GitHub reads it."""


@dataclass(frozen=True)
class Table:
    """Table of one split, or of all folds of a split.

    Attributes:
        split: Name of the split, or what the table shows.
        columns: Names of the methods in the paper's order: baselines, searched ones, random ones. In a table of
            differences, what its figures are.
        rows: Title and cells of each row.
        notes: Notes that a reader needs to understand the table.
    """

    split: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """Table as Markdown."""

        def line(cells: list[str]) -> str:
            return f"| {' | '.join(map(_markdown, cells))} |"

        lines = [line([self.split, *self.columns]), "|---|" + "---|" * len(self.columns)]
        return "\n".join([*lines, *(line([title, *cells]) for title, cells in self.rows)]) + "\n"

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def csv(self) -> str:
        """Table as CSV."""
        text = StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            [[self.split, *self.columns], *([title, *cells] for title, cells in self.rows)]
        )
        return text.getvalue()

    def latex(self) -> str:
        """Table as a LaTeX tabular."""

        def line(cells: list[str]) -> str:
            return " & ".join("".join(LATEX.get(c, c) for c in shown(cell)) for cell in cells) + r" \\"

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


def study_tables(study: StudyConfig, root: str | Path) -> list[Table]:
    """Make the tables of the jobs done so far."""
    return tables_of(study_view(study, root))


def tables_of(view: StudyView) -> list[Table]:
    """Make two tables for each split with folds, and one for each split with results."""
    made = [split_table(view, split.name) for split in view.splits]
    over_folds = [table for results in fold_results(view) for table in _fold_tables(results)]
    return over_folds + [_table(table) for table in made if table is not None]


def table_files(tables: list[Table]) -> dict[str, str]:
    """Write the text of each file, by its suffix."""
    notes = list(dict.fromkeys(note for table in tables for note in table.notes))
    comments = "".join(f"% {shown(note)}\n" for note in notes)
    return {
        "md": "\n".join([*(table.markdown() for table in tables), *(f"{_markdown(note)}  \n" for note in notes)]),
        "csv": "\n".join(table.csv() for table in tables),
        "tex": comments + "\n".join(table.latex() for table in tables),
    }


def _table(table: SplitTable) -> Table:
    rows: list[tuple[str, tuple[str, ...]]] = []
    for line in table.lines:
        rows.append((line.title, tuple(_text(entry) for entry in line.entries)))
        if any(entry.printed for entry in line.entries):
            rows.append((f"{line.title}, paper", tuple(entry.printed or "-" for entry in line.entries)))
    return Table(table.split, tuple(method.name for method in table.methods), tuple(rows), table.notes)


def _fold_tables(results: FoldResults) -> list[Table]:
    """Make the table of the methods over all folds, and that of their differences."""
    titles = [title for title, _ in results.means[0].measures]
    rows = [
        *((title, tuple(one.measures[place][1] for one in results.means)) for place, title in enumerate(titles)),
        ("Folds", tuple(str(one.folds) for one in results.means)),
        ("n", tuple(str(one.trainings) for one in results.means)),
    ]
    names = tuple(one.method.name for one in results.means)
    made = [Table(f"{results.ground}, {len(results.folds)} folds", names, tuple(rows), (FOLD_NOTE,))]
    if results.pairs:
        pairs = tuple((f"{pair.one.name} minus {pair.other.name}", cells_of(pair)) for pair in results.pairs)
        made.append(Table(f"{results.ground}, differences", PAIR_COLUMNS, pairs))
    return made


def _markdown(text: str) -> str:
    """Escape a text for Markdown, so that a name shows as it is and contains no link, picture or HTML."""
    return MARKUP.sub(lambda found: "\\" + found[0], shown(text))


def _text(entry: Entry) -> str:
    return f"{entry.text} ± {entry.spread}" if entry.spread else entry.text
