"""Names that try to run code, in the pages and tables of runs and studies: opened in a browser, and by parsers."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.browser import headless
from support.fake_run import PAPER_CELL, write_examples, write_run
from support.fake_study import fake_study, write_fake_study
from support.injection import HOST, MARK, NAMES, assert_inert, on_page

from compactnas.config import DataConfig
from compactnas.reporting.run.page import write_report
from compactnas.studies.reporting import write_study_report
from compactnas.studies.tables import Table, table_files


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with headless() as found:
        yield found


def test_the_page_of_a_run(browser: Any, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", PAPER_CELL, epochs=3, classes=NAMES)
    write_examples(run)
    assert_inert(browser, write_report([run], tmp_path / "report.html", NAMES[0]))


def test_the_page_of_a_study(browser: Any, tmp_path: Path) -> None:
    splits = {name: {"split": "d1"} for name in NAMES}
    study = replace(fake_study(), data=DataConfig(path=NAMES[1]), splits=splits, search_split=NAMES[0], methods=("S",))
    study = replace(study, searches=1, retrainings=1, baselines=())
    write_fake_study(study, tmp_path / "study")
    write_study_report(study, tmp_path / "study", NAMES[2])
    assert_inert(browser, tmp_path / "study" / "report.html")


TABLE = Table("split", NAMES, tuple((name, NAMES) for name in NAMES), NAMES)


def test_the_tables_in_markdown() -> None:
    """Read as GitHub reads it: links of all kinds, HTML, and one cell for each name."""
    markdown = pytest.importorskip("markdown_it", reason="Markdown is read by markdown-it-py, which rich brings")
    reader = markdown.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = [one for token in reader.parse(table_files([TABLE])["md"]) for one in (token, *(token.children or ()))]
    kinds = {token.type for token in tokens}
    assert not kinds & {"html_inline", "html_block", "link_open", "image", "code_inline", "strong_open", "em_open"}
    assert "s_open" not in kinds and not any(token.type == "heading_open" for token in tokens)
    cells = [token.content for token in tokens if token.type == "text"]
    assert sum(token.type == "td_open" for token in tokens) == len(NAMES) * (1 + len(NAMES))
    shown = on_page("".join(cells))
    assert all(on_page(name) in shown for name in NAMES)
    source = table_files([TABLE])["md"]
    assert HOST not in source and "www.injected" not in source and "a@injected" not in source


def test_the_tables_in_latex() -> None:
    text = table_files([TABLE])["tex"]
    comments = [line for line in text.splitlines() if line.startswith("%")]
    assert len(comments) == len(NAMES)
    body = text.partition("\\begin{tabular}")[2]
    assert text.splitlines()[len(NAMES)].startswith("\\begin{tabular}")
    rows = [line for line in body.splitlines() if line.endswith("\\\\")]
    assert len(rows) == 1 + len(NAMES)
    for row in rows:
        plain = row.removesuffix("\\\\")
        assert len(re.findall(r"(?<!\\)&", plain)) == len(NAMES)
        assert not re.search(r"(?<!\\)[%#_]", plain) and not plain.lstrip().startswith("[")
        commands = set(re.findall(r"\\([a-zA-Z]+)", plain))
        assert commands <= {"textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater", "textbar"}
        depth = 0
        for brace in re.findall(r"(?<!\\)[{}]", plain):
            depth += 1 if brace == "{" else -1
            assert depth >= 0
        assert depth == 0
    assert not any(ord(c) < 32 for c in text.replace("\n", ""))


def test_the_tables_in_csv(tmp_path: Path) -> None:
    """CSV holds names as they are; a spreadsheet reads `=` as a formula, as the docs say."""
    (tmp_path / "t.csv").write_text(table_files([TABLE])["csv"], encoding="utf-8", newline="")
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["split", *NAMES] and [row[0] for row in rows[1:]] == list(NAMES)


def test_the_browser_would_run_such_a_name(browser: Any, tmp_path: Path) -> None:
    """What is looked for happens where nothing is escaped."""
    (tmp_path / "page.html").write_text(f"<p>{NAMES[0]}{NAMES[1]}</p>")
    browser.get((tmp_path / "page.html").as_uri())
    assert browser.execute_script(f"return window.{MARK}") == 1
    with pytest.raises(AssertionError):
        assert_inert(browser, tmp_path / "page.html")
