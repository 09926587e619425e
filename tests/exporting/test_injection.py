"""Names that try to run code, in the model card and the STAC item of an export, and on the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.exported import SPECS, write_run
from support.injection import HOST, NAMES, on_page

from compactnas.cli import main
from compactnas.exporting.writing import export_run
from compactnas.nn.registry import ModelSpec
from compactnas.runs.task import Task

BANDS, CLASSES = NAMES[:4], NAMES[:]


def test_the_card_and_the_item(tmp_path: Path) -> None:
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason="exports need the export extra")
    markdown = pytest.importorskip("markdown_it", reason="Markdown is read by markdown-it-py, which rich brings")
    spec = ModelSpec("resnet8", 4, len(CLASSES), SPECS["resnet8"].patch_px)
    run = write_run(tmp_path / "run", spec, Task(BANDS, CLASSES, spec.patch_px, lcz=False))
    export_run(run, tmp_path / "export", without_data=True)
    text = (tmp_path / "export" / "README.md").read_text()
    front, _, body = text.removeprefix("---\n").partition("\n---\n")
    assert yaml.safe_load(front)["library_name"] == "compactnas"
    reader = markdown.MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = [one for token in reader.parse(body) for one in (token, *(token.children or ()))]
    assert not {token.type for token in tokens} & {"html_inline", "html_block", "link_open", "image", "s_open"}
    shown = on_page("".join(token.content for token in tokens if token.type == "text"))
    assert all(on_page(name) in shown for name in CLASSES)
    assert HOST not in body and "www.injected" not in body
    item = json.loads((tmp_path / "export" / "item.json").read_text())
    assert item["properties"]["mlm:input"][0]["bands"] == list(BANDS)
    classes = item["properties"]["mlm:output"][0]["classification:classes"]
    assert [entry["description"] for entry in classes] == list(CLASSES)


def test_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = np.arange(3 * len(NAMES))
    images = np.random.default_rng(0).uniform(0, 1, (len(rows), 4, 8, 8)).astype(np.float32)
    names = {"class_names": np.array(NAMES), "band_names": np.array(BANDS), "group": np.array(NAMES)[rows % len(NAMES)]}
    np.savez(tmp_path / "a.npz", images=images, labels=rows % len(NAMES), **names)
    assert main(["inspect", str(tmp_path / "a.npz")]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\x07" not in out and "\u202e" not in out and "\r" not in out
    assert "[bold]" in out and "[/red]" in out, "names are no markup of the terminal's library"
