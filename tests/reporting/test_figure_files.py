"""Figures for papers: SVG and PDF with their own colours, the same bytes each time, drawn like those of the page."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from support.fake_run import write_baseline, write_evaluation, write_run
from support.pages import HOSTILE

from compactnas.cli import main
from compactnas.errors import UserError
from compactnas.reporting.figures.pdf import pdf_bytes
from compactnas.reporting.figures.plain import plain_figure
from compactnas.reporting.figures.svg import element
from compactnas.reporting.run import figure_files
from compactnas.reporting.run.figure_files import write_figures
from compactnas.reporting.run.figures import figures_of

SVG = "{http://www.w3.org/2000/svg}"
WANTED = {"cell", "network", "confusion", "classes", "reliability", "search-loss", "alpha", "training-accuracy"}


EACH_KIND = {"cell", "confusion", "search-loss", "alpha"}


def only(monkeypatch: pytest.MonkeyPatch, names: set[str]) -> None:
    """Draw only these figures: each PDF takes most of a second, for the fonts in it."""
    monkeypatch.setattr(
        figure_files, "figures_of", lambda run: {name: one for name, one in figures_of(run).items() if name in names}
    )
    monkeypatch.setattr(figure_files, "PLANES", ())


@pytest.fixture
def no_pdf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write empty files for PDF."""
    monkeypatch.setattr(figure_files, "pdf_bytes", lambda figure: b"")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an evaluation that measured its calibration."""
    folder = write_run(tmp_path_factory.mktemp("figures") / "run", epochs=3)
    raw = json.loads((folder / "evaluation.json").read_text())
    bins = {"patches": [10, 90], "confidence": [0.4, 0.9], "accuracy": [0.5, 0.8]}
    (folder / "evaluation.json").write_text(json.dumps(raw | {"reliability": bins}))
    return folder


@pytest.fixture(scope="module")
def figures(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of its figures."""
    folder = tmp_path_factory.mktemp("paper")
    assert set(write_figures([run], folder)) >= WANTED
    return folder


def test_svg_files_hold_their_own_colours(figures: Path) -> None:
    for file in figures.glob("*.svg"):
        root = ET.fromstring(file.read_bytes())
        assert root.tag == f"{SVG}svg" and float(root.attrib["width"]) > 0
        source = file.read_text()
        assert not re.search(r"class=|var\(|<style|currentColor|\d{4}-\d\d-\d\d", source), file.name
        for shape in root.iter():
            if shape.tag in (f"{SVG}rect", f"{SVG}circle"):
                assert "fill" in shape.attrib, ET.tostring(shape)


def test_pdf_files_have_one_page_of_the_size_of_the_figure(figures: Path) -> None:
    names = {file.stem for file in figures.glob("*.pdf")}
    assert names == {file.stem for file in figures.glob("*.svg")} >= WANTED
    for file in figures.glob("*.pdf"):
        content = file.read_bytes()
        assert content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF")
        assert len(re.findall(rb"/Type /Page\b", content)) == 1
        assert b"CreationDate" not in content and b"ModDate" not in content
        box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", content)
        svg = ET.fromstring((figures / f"{file.stem}.svg").read_bytes()).attrib
        assert box is not None
        sides = [float(side) for side in box.groups()]
        assert sides == pytest.approx([0.75 * float(svg["width"]), 0.75 * float(svg["height"])], abs=0.01)
        assert b"/FontFile2" in content, "the fonts are in the file"


def test_the_same_runs_give_the_same_svg(run: Path, figures: Path, tmp_path: Path, no_pdf: None) -> None:
    write_figures([run], tmp_path)
    assert len(list(tmp_path.glob("*.svg"))) == len(list(figures.glob("*.svg")))
    assert all(file.read_bytes() == (figures / file.name).read_bytes() for file in tmp_path.glob("*.svg"))


def test_the_same_runs_give_the_same_pdf_and_replace_it(
    run: Path, figures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, EACH_KIND)
    (tmp_path / "cell.svg").write_text("old")
    (tmp_path / "cell.pdf").write_text("old")
    write_figures([run], tmp_path)
    names = {f"{name}.{kind}" for name in EACH_KIND for kind in ("svg", "pdf")}
    assert {file.name for file in tmp_path.iterdir()} == names
    assert all((tmp_path / name).read_bytes() == (figures / name).read_bytes() for name in names)


def test_pdf_draws_what_the_figure_holds() -> None:
    figure = element(
        "svg",
        element("path", d="M10 10H20V30l-5 5Q0 0 10 10z", class_="cn-tip cn-c1"),
        element("rect", x=1, y=2, width=30, height=8, class_="cn-box"),
        viewBox="0 0 40 40",
    )
    content = pdf_bytes(plain_figure(figure))
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL)
    drawn = next(text for stream in streams if b" re\n" in (text := zlib.decompress(stream)) or b" l\n" in text)
    assert b"0.8352941" in drawn and b"0.3686274" in drawn, "the orange #d55e00"
    assert b"7.5 22.5 m" in drawn and b"15 22.5 l" in drawn and b"15 7.5 l" in drawn and b"11.25 3.75 l" in drawn


def test_command_lists_what_it_wrote(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], no_pdf: None
) -> None:
    other = write_baseline(tmp_path / "a b", "resnet8", 0.6, 13_530_000, 79_300)
    write_evaluation(other, model="resnet8", macs=13_530_000)
    page, paper = tmp_path / "page.html", tmp_path / "paper"
    assert main(["report", str(run), str(other), "-o", str(page), "--figures", str(paper)]) == 0
    report, listed = capsys.readouterr().out.splitlines()
    assert report == f"report: {page}" and f" as SVG and PDF in {paper}: run/cell, run/network" in listed
    assert listed.endswith(", pareto, pareto-parameters") and (paper / "a-b" / "confusion.pdf").exists()
    (tmp_path / "file").write_text("")
    assert main(["report", str(run), "-o", str(page), "--figures", str(tmp_path / "file" / "x")]) == 2
    message = capsys.readouterr().err
    assert len(message.splitlines()) == 1 and "file" in message


def test_names_from_files_stay_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, {"confusion", "classes"})  # the figures with names
    run = write_run(tmp_path / "run", epochs=1, classes=(HOSTILE, "$x^2$ \\frac", "\ud800c"))
    write_figures([run], tmp_path / "paper")
    root = ET.fromstring((tmp_path / "paper" / "confusion.svg").read_bytes())
    assert not [one for one in root.iter() if one.tag.rpartition("}")[2] in ("script", "img", "foreignObject")]
    assert any((text.text or "").startswith("1  <script>alert(1)") for text in root.iter(f"{SVG}text"))
    with pytest.raises(UserError, match="another folder"):
        write_figures([run], tmp_path / "run" / "config.yaml")
