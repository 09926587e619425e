"""Write and check the page of a study."""

from __future__ import annotations

import re
from pathlib import Path

from compactnas.studies import StudyConfig
from compactnas.studies.reporting import write_study_report
from support.pages import Page, assert_stands_alone


def page_of(study: StudyConfig, root: Path, title: str = "A study") -> Page:
    write_study_report(study, root, title)
    page = Page(root / "report.html")
    assert_stands_alone(page)
    ids = page.values("id")
    assert len(set(ids)) == len(ids) and {value[1:] for value in page.values("href")} <= set(ids)
    assert not re.search(r'="[^"]*\b(nan|inf|None)\b[^"]*"', page.source)
    return page
