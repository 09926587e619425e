"""Write and check the page of a study."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from compactnas.studies import StudyConfig
from compactnas.studies.reporting import write_study_report
from support.fake_study import fake_study, write_fake_study
from support.made_once import made_once
from support.pages import Page, assert_stands_alone


def page_of(study: StudyConfig, root: Path, title: str = "A study") -> Page:
    write_study_report(study, root, title)
    page = Page(root / "report.html")
    assert_stands_alone(page)
    ids = page.values("id")
    assert len(set(ids)) == len(ids) and {value[1:] for value in page.values("href")} <= set(ids)
    assert not re.search(r'="[^"]*\b(nan|inf|None)\b[^"]*"', page.source)
    return page


def whole_study(factory: pytest.TempPathFactory) -> tuple[StudyConfig, Path, Page]:
    """Return a fake study with all jobs done, its folder and its page, made once in a session. Tests only read them.

    Args:
        factory: The fixture `tmp_path_factory`.
    """
    study = fake_study()

    def make(folder: Path) -> None:
        write_fake_study(study, folder)
        page_of(study, folder)

    root = made_once(factory, "whole-study", make)
    return study, root, Page(root / "report.html")
