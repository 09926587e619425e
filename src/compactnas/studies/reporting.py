"""Write the tables and the page of a study."""

from __future__ import annotations

from pathlib import Path

from compactnas.io.atomic import write_bytes
from compactnas.reporting.study.page import write_study_page
from compactnas.studies.config import StudyConfig
from compactnas.studies.reading import study_view
from compactnas.studies.tables import Table, table_files, tables_of


def write_study_report(study: StudyConfig, root: Path, title: str) -> list[Table]:
    """Write `tables.md`, `.csv`, `.tex` and `report.html` into the study's folder, for the jobs done so far.

    Raises:
        UserError: A file of a finished job is damaged, or the folder is not writable.
    """
    view = study_view(study, root, title)
    tables = tables_of(view)
    for end, text in table_files(tables).items():
        write_bytes(root / f"tables.{end}", text.encode())
    write_study_page(view, root / "report.html")
    return tables
