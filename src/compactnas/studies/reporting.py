"""The end of a study: its tables as files and its page."""

from __future__ import annotations

from pathlib import Path

from compactnas.io.atomic import write_bytes
from compactnas.reporting.study.page import write_study_page
from compactnas.studies.config import StudyConfig
from compactnas.studies.reading import study_view
from compactnas.studies.tables import Table, table_files, tables_of


def write_study_report(study: StudyConfig, root: Path, title: str) -> list[Table]:
    """Write `tables.md`, `.csv`, `.tex` and `report.html` of what is done so far into the study's folder.

    Errors:
        UserError: a file of a finished job is damaged, or the folder cannot be written.
    """
    view = study_view(study, root, title)
    tables = tables_of(view)
    for end, text in table_files(tables).items():
        write_bytes(root / f"tables.{end}", text.encode())
    write_study_page(view, root / "report.html")
    return tables
