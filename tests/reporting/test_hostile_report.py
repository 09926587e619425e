"""Reports of runs and studies in which every name is hostile: the page is the one that harmless names give."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import yaml
from support.fake_run import PAPER_CELL, write_examples, write_run
from support.fake_study import fake_study, write_fake_study
from support.pages import Page

from compactnas.config import DataConfig
from compactnas.reporting.run.page import write_report
from compactnas.studies import StudyConfig
from compactnas.studies.reporting import write_study_report

ATTACKS = (
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</title><img src=x onerror=alert(1)>",
    "</text></svg><script>alert(1)</script>",
    '" onload="alert(1)" x="',
    "' onmouseover='alert(1)' x='",
    "javascript:alert(1)",
    "`</code><script>alert(1)</script>`",
    "<a href=javascript:alert(1)>here</a>",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "]]><!--<script>alert(1)</script>",
    "url(javascript:alert(1));} * {display:none",
    "\x00<\x00script>alert(1)</script>\ud800\u202e",
)
Names = Callable[[], str]


def hostile_names() -> Names:
    """A name of another attack each time, no two alike."""
    number = count()
    return lambda: f"{ATTACKS[(at := next(number)) % len(ATTACKS)]}{at:03}"


def harmless_names() -> Names:
    """As long as those, since figures are laid out by it, with the same backticks, which notes show as code."""
    hostile = hostile_names()
    return lambda: re.sub(r"[^`\d]", "n", (name := hostile())[:-3]) + name[-3:]


def run_with(name: Names, folder: Path) -> Path:
    """A run's folder in which each text that can be any text is such a name."""
    classes = tuple(name() for _ in range(14))
    write_run(folder, PAPER_CELL, epochs=3, classes=classes)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["data"] |= {"path": name(), "bands": [name(), name()], "split_csv": name(), "test_groups": [name()]}
    config[name()] = name()
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    environment = {"torch": name(), "platform": name(), "gpu": name(), name(): name()}
    (folder / "environment.json").write_text(json.dumps(environment))
    (folder / "warnings.json").write_text(json.dumps([name() for _ in range(14)]))
    edit(folder / "evaluation.json", part=name())
    write_examples(folder)
    edit(folder / "examples.json", bands=name())
    edit(folder / "search" / "alpha.json", operations=[name() for _ in range(8)])
    rows = [json.loads(line) for line in (folder / "search" / "metrics.jsonl").read_text().splitlines()]
    (folder / "search" / "metrics.jsonl").write_text("".join(json.dumps(row | {name(): name()}) + "\n" for row in rows))
    return folder


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def page_of_run(name: Names, where: Path) -> Page:
    where.mkdir()
    run = run_with(name, where / "run")
    write_report([run], where / "report.html", name())
    return Page(where / "report.html")


def study_with(name: Names) -> StudyConfig:
    splits = {name(): {"split": "d1"}, name(): {"split": "d2", "places": "mixed"}}
    data = DataConfig(path=name(), bands=(name(),))
    return replace(fake_study(), data=data, splits=splits, search_split=next(iter(splits)))


def page_of_study(name: Names, where: Path) -> Page:
    where.mkdir()
    study = study_with(name)
    classes = tuple(name() for _ in range(17))
    warnings = {split: [name(), name()] for split in study.splits}
    write_fake_study(study, where / "study", classes=classes, warnings=warnings)
    for job in sorted((where / "study" / "jobs").iterdir()):
        edit(job / "environment.json", torch=name(), **{name(): name()})
        bands = {name(): {"mean": 0.1, "std": 0.02} for _ in range(3)}
        (job / "normalisation.json").write_text(json.dumps(bands))
    write_study_report(study, where / "study", name())
    return Page(where / "study" / "report.html")


@pytest.mark.parametrize("make", [page_of_run, page_of_study])
def test_no_element_and_no_attribute_comes_from_a_name(make: Callable[[Names, Path], Page], tmp_path: Path) -> None:
    hostile = make(hostile_names(), tmp_path / "hostile")
    harmless = make(harmless_names(), tmp_path / "harmless")
    tags = [(tag, sorted(attributes)) for tag, attributes in hostile.tags]
    assert tags == [(tag, sorted(attributes)) for tag, attributes in harmless.tags], "the same page but for its text"
    assert "alert(1)" in hostile.text, "the names are shown as text"
    for tag, attributes in hostile.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name not in ("aria-label", "title", "data-label", "alt"):
                assert "alert" not in (value or ""), (tag, name, value)
            assert name != "href" or (value or "").startswith("#"), (tag, name, value)
            assert name != "src" or re.fullmatch(r"data:image/png;base64,[\w+/=]+", value or ""), (tag, name, value)
    for code in ("style", "script"):
        assert hostile.source.count(f"<{code}") == harmless.source.count(f"<{code}")
    assert styles(hostile) == styles(harmless)


def styles(page: Page) -> list[str]:
    return [part.partition("</style>")[0] for part in page.source.split("<style")[1:]]
