"""What a run says about its data: the real size of patches, the split, groups, the largest class, and intervals."""

from __future__ import annotations

import csv
import json
import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.fake_run import write_evaluation, write_run
from support.map_files import EPSG, LEFT, TOP, write_raster
from support.pages import HOSTILE, Page, assert_stands_alone

from compactnas.cli import main
from compactnas.data import open_dataset
from compactnas.errors import UserError
from compactnas.evaluation.groups import GroupCounts
from compactnas.pipeline.evaluating import predict
from compactnas.reporting.run.data import split_words
from compactnas.reporting.run.page import write_report
from compactnas.runs.folder import read_config

LANDSAT = ("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "SR_B7")
CLASSES = (6, 6, 6, 6, 14, 14, 11, 11, 17)
"""LCZ of the polygons in each row of the made scene: 4 of 9 are LCZ 6."""


def report(tmp_path: Path, *folders: Path) -> Page:
    return Page(write_report(list(folders), tmp_path / "report.html"))


def write_landsat(path: Path) -> Path:
    """A scene of 7 bands at 30 m, and a polygon of 4 patches for each LCZ of CLASSES in each of 5 rows."""
    side = 20
    tall, wide = 5 * side, len(CLASSES) * side
    noise = np.random.default_rng(0).normal(0, 0.01, (7, tall, wide))
    ground = np.array(CLASSES) / 40 + np.random.default_rng(1).normal(0, 0.12, (5, len(CLASSES)))  # no two are alike
    pixels = noise + np.kron(ground, np.ones((side, side)))
    write_raster(path, pixels.astype(np.float32), 30.0, descriptions=LANDSAT)
    features = []
    for row in range(5):
        for column, number in enumerate(CLASSES):
            left, top = LEFT + 30 * (side * column + 7), TOP - 30 * (side * row + 7)
            ring = [(left + x, top - y) for x, y in ((0, 0), (180, 0), (180, 180), (0, 180), (0, 0))]
            features.append(
                {
                    "type": "Feature",
                    "properties": {"lcz": number},
                    "geometry": {"type": "Polygon", "coordinates": [ring]},
                }
            )
    system = {"type": "name", "properties": {"name": f"EPSG:{EPSG}"}}
    polygons = {"type": "FeatureCollection", "crs": system, "features": features}
    path.with_suffix(".geojson").write_text(json.dumps(polygons))
    return path


@pytest.fixture(scope="module")
def landsat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the made Landsat scene, evaluated."""
    pytest.importorskip("rasterio", reason="GeoTIFF files need rasterio (the map extra)")
    home = tmp_path_factory.mktemp("landsat")
    scene = write_landsat(home / "city.tif")
    words = "--data.window-px 8 --data.split group --machine.device cpu --machine.threads 1 --recipe quick"
    words += " --train.epochs 1 --train.batch-size 16"
    run = home / "run"
    assert main(["train", "--model", "resnet8", "--data.path", str(scene), *words.split(), "-o", str(run)]) == 0
    assert main(["evaluate", str(run)]) == 0
    return run


def test_a_landsat_run_shows_its_own_patches_split_and_polygons(landsat: Path, tmp_path: Path) -> None:
    page = report(tmp_path, landsat)
    assert_stands_alone(page)
    for words in (
        "8 x 8 pixels of 30 m (240 x 240 m)",
        "7 bands",
        ", ".join(LANDSAT),
        "city, read as scenes",
        "17 Local Climate Zones, 4 of them in the data",
        "group: 20 % of the patches in whole groups, seed 0",
        "LCZ 6, Open low-rise",
    ):
        assert words in page.text, words
    rows = re.findall(r'<tr><th scope="row" class="name">(\w+)</th><td>(\d+)</td><td>(\d+)</td>', page.source)
    assert rows == [("train", "144", "36"), ("test", "36", "9")]
    assert "window_px: 8" in page.text and "sensor" not in page.text.split("Left out")[0]
    assert "Left out, because other data formats use them: sensor." in page.text


def test_the_evaluation_shows_the_largest_class_and_intervals_by_polygon(
    landsat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = json.loads((landsat / "evaluation.json").read_text())
    confusion, groups = np.array(raw["confusion"]), raw["groups"]
    assert sum(groups["patches"]) == confusion.sum() == 36 and sum(groups["right"]) == np.trace(confusion)
    assert len(groups["names"]) == 9 and groups["unit"] == "group"
    # Draw the polygons by hand, from their counts alone.
    generator, patches, right = np.random.default_rng(0), np.array(groups["patches"]), np.array(groups["right"])
    often = generator.multinomial(9, np.full(9, 1 / 9), 1000)
    low, high = np.percentile(often @ right / (often @ patches), (2.5, 97.5))
    assert groups["intervals_95"]["oa"] == pytest.approx([low, high]) and low < raw["measures"]["oa"] < high
    assert main(["evaluate", str(landsat)]) == 0
    printed = capsys.readouterr().out
    share = f"{100 * confusion.sum(1).max() / 36:.1f} %"
    interval = f"OA {100 * low:.1f}-{100 * high:.1f} %"
    assert f"always answering LCZ 6, Open low-rise would give an OA of {share}\n" in printed
    assert "1000 bootstrap samples of the 9 groups of the test part" in printed and interval in printed
    text = report(tmp_path, landsat).text
    assert f"Always answering LCZ 6, Open low-rise would give an OA of {share}." in text and interval in text


def test_kept_patches_are_those_of_the_predictions(landsat: Path, tmp_path: Path) -> None:
    config = read_config(landsat).data
    data = open_dataset(config)
    predict(landsat, config, tmp_path / "rows.csv", part="test")
    with (tmp_path / "rows.csv").open() as file:
        answers = {int(line["row"]): (int(line["class"]), float(line["probability"])) for line in csv.DictReader(file)}
    kept = json.loads((landsat / "examples.json").read_text())
    assert kept["bands"] == "true colour (SR_B4, SR_B3, SR_B2)"
    rows = [one["row"] for one in kept["patches"]]
    assert len(rows) == len(set(rows)) > 0 and set(rows) <= set(answers)
    truth = data.source.facts.labels
    for number in set(truth[list(answers)].tolist()):
        wrong = sorted(sure for row, (answer, sure) in answers.items() if truth[row] == number != answer)
        shown = [one for one in kept["patches"] if one["true"] == number]
        hits = sum(answer == truth[row] == number for row, (answer, _) in answers.items())
        assert [one["predicted"] == number for one in shown] == [True] * min(hits, 3) + [False] * min(len(wrong), 3)
        assert [one["confidence"] for one in shown if one["predicted"] != number] == pytest.approx(wrong[::-1][:3])
    images = data.source.batch(np.array(rows))[0][:, [3, 2, 1]].astype(np.float32)
    flat = images.transpose(1, 0, 2, 3).reshape(3, -1)
    low, high = (np.percentile(flat, share, axis=1)[:, None, None] for share in (2, 98))
    for one, image in zip(kept["patches"], images, strict=True):
        assert (one["true"], one["predicted"]) == (truth[one["row"]], answers[one["row"]][0])
        drawn = np.asarray(Image.open(BytesIO(b64decode(one["png"]))), np.int64)
        by_hand = 255 * np.clip((image - low) / (high - low), 0, 1)
        assert np.abs(drawn - by_hand.transpose(1, 2, 0)).max() <= 1
    page = report(tmp_path, landsat)
    assert len(page.values("src")) == len(rows) and "true colour (SR_B4, SR_B3, SR_B2)" in page.text


def test_show_prints_pixel_size_split_and_groups(landsat: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(landsat)]) == 0
    printed = capsys.readouterr().out
    for said in (
        f"  patches: 8 x 8 pixels of 30 m (240 x 240 m), 7 bands ({', '.join(LANDSAT)})\n",
        "  split: group: 20 % of the patches in whole groups, seed 0\n",
        "  groups: train 36, test 9\n",
        "  always answering LCZ 6, Open low-rise would give an OA of ",
        "  95 % intervals: OA ",
    ):
        assert said in printed, said
    assert main(["show", str(landsat), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert (data["format"], data["patch_px"], data["pixel_m"]) == ("scenes", 8, 30.0)
    assert data["groups"] == {"train": 36, "test": 9} and data["bands"] == list(LANDSAT)


def test_an_older_run_is_shown_with_what_it_has(landsat: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", epochs=2)
    page = report(tmp_path, run)
    assert_stands_alone(page)
    assert "official: the parts of the source" in page.text and "Always answering LCZ" in page.text
    assert "95 % interval" not in page.text and "window_px" in page.text


def write_data(run: Path, format_: str = "packed", **part: Any) -> Path:
    """Add `data_summary.json` and `task.json`, as a run on patches of 30 m writes them."""
    test = {"patches": 170, "groups": 9, "classes": [10] * 17} | part
    summary = {"name": "mine", "format": format_, "unit": "group", "parts": {"test": test}}
    names = json.loads((run / "evaluation.json").read_text())["classes"]
    task = {"bands": ["a", "b"], "classes": names, "patch_px": 8, "lcz": len(names) == 17, "pixel_m": 30.0}
    (run / "data_summary.json").write_text(json.dumps(summary), encoding="utf-8")
    (run / "task.json").write_text(json.dumps(task), encoding="utf-8")
    return run


@pytest.mark.parametrize(
    ("format_", "hidden"),
    [
        ("packed", {"sensor", "labels", "window_px", "stride_px"}),
        ("npz", {"sensor", "labels", "window_px", "stride_px"}),
        ("scenes", {"sensor"}),
        ("so2sat", {"labels", "window_px", "stride_px"}),
    ],
)
def test_options_of_other_formats_are_left_out(tmp_path: Path, format_: str, hidden: set[str]) -> None:
    page = report(tmp_path, write_data(write_run(tmp_path / "run", epochs=2), format_))
    config, left_out = page.text.split("Left out, because other data formats use them: ")
    shown = {name for name in ("sensor", "labels", "window_px", "stride_px") if f" {name}: " in config}
    assert shown == {"sensor", "labels", "window_px", "stride_px"} - hidden
    assert hidden <= set(left_out.split(".")[0].split(", "))
    assert "split_seed: 0" in config and "8 x 8 pixels of 30 m (240 x 240 m)" in config


def test_a_network_no_better_than_the_largest_class_is_noted(tmp_path: Path) -> None:
    confusion = np.zeros((2, 2), np.int64)
    confusion[0] = (40, 20)
    confusion[1] = (15, 25)
    run = tmp_path / "run"
    write_evaluation(run, classes=("a", "b"), confusion=np.array([[60, 0], [40, 0]]))
    assert "The network is not better than always answering a (60.0 %)." in report(tmp_path, run).text
    write_evaluation(run, classes=("a", "b"), confusion=confusion)
    assert "Note" not in report(tmp_path, run).text
    raw = json.loads((run / "evaluation.json").read_text())
    groups = GroupCounts("group", ("x", "y"), (50, 50), (40, 25), 1000, {"oa": (0.5, 0.8)}).to_json()
    (run / "evaluation.json").write_text(json.dumps(raw | {"groups": groups}))
    page = report(tmp_path, run)
    assert "The 95 % interval of OA, 50.0-80.0 %, does not exclude always answering a (60.0 %)." in page.text
    assert "50.0-80.0" in page.text and "2 groups" in page.text


def test_names_from_files_are_escaped(tmp_path: Path) -> None:
    run = write_data(write_run(tmp_path / "run", epochs=2))
    summary = json.loads((run / "data_summary.json").read_text())
    summary |= {"name": HOSTILE, "unit": HOSTILE, "parts": {HOSTILE: summary["parts"]["test"]}}
    (run / "data_summary.json").write_text(json.dumps(summary))
    raw = json.loads((run / "evaluation.json").read_text())
    counts = GroupCounts(HOSTILE, (HOSTILE,), (raw["n"],), (0,), 9, {"oa": (0.0, 1.0)})
    (run / "evaluation.json").write_text(json.dumps(raw | {"groups": counts.to_json()}))
    assert_stands_alone(report(tmp_path, run))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("data_summary.json", "[1]"),
        ("data_summary.json", '{"name": "x"}'),
        ("data_summary.json", '{"name": "x", "format": "", "unit": "", "parts": {"test": 3}}'),
        ("data_summary.json", '{"name": "x", "format": "", "unit": "", "parts": []}'),
        ("task.json", "{}"),
    ],
)
def test_a_damaged_file_is_one_line_that_names_it(tmp_path: Path, file: str, content: str) -> None:
    run = write_data(write_run(tmp_path / "run", epochs=2))
    (run / file).write_text(content)
    with pytest.raises(UserError, match=re.escape(file)) as caught:
        report(tmp_path, run)
    assert "\n" not in str(caught.value)


def test_groups_that_do_not_fit_the_confusion_matrix_are_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", epochs=2)
    raw = json.loads((run / "evaluation.json").read_text())
    damaged: list[Any] = [
        GroupCounts("group", ("a",), (1,), (1,), 9, {}).to_json(),
        {"names": 3},
        [],
        {"intervals_95": []},
    ]
    for groups in damaged:
        (run / "evaluation.json").write_text(json.dumps(raw | {"groups": groups}))
        with pytest.raises(UserError, match="evaluation"):
            report(tmp_path, run)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"split": "official"}, "official: the parts of the source"),
        ({"split": "random", "test_fraction": 0.2, "split_seed": 3}, "random: 20 % of the patches, seed 3"),
        ({"split": "fold", "folds": 5, "fold": 2}, "fold: fold 2 of 5, seed 0"),
        ({"split": "fold", "folds": 0, "fold": 2}, "fold: group 2 alone, seed 0"),
        ({"split": "group", "test_groups": ["Rome", "Bonn"]}, "group: test groups Rome, Bonn"),
        (
            {"split": "block", "test_fraction": 0.1, "block_m": 960.0, "validation_fraction": 0.25},
            "block: 10 % of the patches in squares of 960 m, seed 0, validation 25 % of the training part",
        ),
        ({"split": "csv", "split_csv": "parts.csv"}, "csv: parts.csv"),
        ({"split": "mine"}, "mine"),
        ({"split": 3}, ""),
        ({}, ""),
    ],
)
def test_a_split_is_described_by_the_options_that_matter(config: dict[str, Any], words: str) -> None:
    assert split_words(config) == words
