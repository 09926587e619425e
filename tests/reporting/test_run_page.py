"""What the page of runs says: the opening sentence, seeds, costly confusions, F1, calibration, dates and patches."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.fake_run import PAPER_CELL, write_baseline, write_evaluation, write_examples, write_run, write_search
from support.pages import Page, assert_stands_alone

from compactnas import lcz
from compactnas.errors import UserError
from compactnas.evaluation.calibration import Reliability
from compactnas.evaluation.groups import GroupCounts
from compactnas.reporting.confusions import costliest, share_of_errors
from compactnas.reporting.run.lead import lead
from compactnas.reporting.run.networks import networks_of, planes_of
from compactnas.reporting.run.page import write_report
from compactnas.reporting.run.patches import patches_of
from compactnas.reporting.run.reading import read_run

CLASSES = ("Open low-rise", "Large low-rise", "Water")
CONFUSION = np.array([[640, 120, 40], [30, 165, 5], [0, 0, 100]])


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def configured(folder: Path, seed: int) -> Path:
    """Give the run another seed."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump(config | {"seed": seed}))
    return folder


def test_confusions_scores_and_calibration_are_those_of_the_counts(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_evaluation(run, classes=CLASSES, confusion=CONFUSION)
    bins = {"patches": [100, 0, 1000], "confidence": [0.3, 0.0, 0.95], "accuracy": [0.45, 0.0, 0.86]}
    edit(run / "evaluation.json", reliability=bins)
    page = Page(write_report([run], tmp_path / "page.html"))
    assert_stands_alone(page)
    for words in (
        "Open low-rise taken for Large low-rise: 120 of 800 patches",
        "Open low-rise taken for Water: 40 of 800 patches",
        "Large low-rise taken for Open low-rise: 30 of 200 patches",
        "The 3 confusions that cost most, 190 of 195 wrong patches (97 %):",
    ):
        assert words in page.text, words
    # F1 = 2 right / (patches of the class + answers of the class), from the counts by hand.
    by_hand = (2 * 640 / (800 + 670), 2 * 165 / (200 + 285), 2 * 100 / (100 + 145))
    for name, patches, f1 in zip(CLASSES, (800, 200, 100), by_hand, strict=True):
        assert f"{name}: F1 {100 * f1:.1f} % on {patches} patches" in page.text
    ece = (100 * 0.15 + 1000 * 0.09) / 1100
    assert f"expected calibration error {100 * ece:.2f} % on 1100 patches" in page.text
    assert f"ECE {100 * ece:.1f} %" in page.text


def test_a_network_without_errors_has_no_confusions() -> None:
    assert costliest(np.diag([3, 0, 2]), CLASSES) == () and share_of_errors(np.diag([3, 0, 2]), ()) == ""
    only = costliest(np.array([[1, 0], [2, 3]]), ("a", "b"))
    assert [one.words for one in only] == ["b taken for a: 2 of 5 patches"]


def test_the_page_opens_with_what_was_found_and_how_it_compares(tmp_path: Path) -> None:
    found = write_run(tmp_path / "found", epochs=2, confusion=CONFUSION, classes=CLASSES)
    said = "The search S+C+D found a network that classifies 82.3 % of the 1,100 test patches correctly"
    cost = ", with 18.42 M MACs and 0.130 M parameters"
    alone = f"{said}{cost}; always answering Open low-rise, the largest class, would reach 72.7 %."
    assert lead([read_run(found)]) == alone
    page = Page(write_report([found], tmp_path / "page.html"))
    assert alone in page.text and page.text.index(alone) < page.text.index("The cell") < page.text.index("Data and run")
    resnet = write_baseline(tmp_path / "resnet110", "resnet110", 0.6, 253_890_000, 1_730_000)
    write_evaluation(
        resnet, model="resnet110", confusion=CONFUSION.T.copy(), classes=CLASSES, macs=253_890_000, parameters=1_730_000
    )
    runs = [read_run(resnet), read_run(found)]
    compared = f"{said}{cost}: 7.3 % of the MACs of ResNet-110, which reaches 82.3 %."
    assert lead(runs) == compared, "the network that was found comes first"
    given = tmp_path / "given"
    write_evaluation(given, confusion=np.diag([800, 200, 100]), classes=CLASSES, macs=9_000_000)
    assert lead([*runs, read_run(given)]) == compared[:-1] + "; given reaches 100.0 % with 9.00 M MACs."
    write_evaluation(resnet, model="resnet110", confusion=2 * CONFUSION, classes=CLASSES)
    assert lead([read_run(found), read_run(resnet)]).endswith("were not measured on the same patches.")
    groups = GroupCounts("group", ("x", "y"), (600, 500), (500, 405), 1000, {"oa": (0.8, 0.85)}).to_json()
    edit(found / "evaluation.json", groups=groups)
    assert f"{said} (95 % interval 80.0-85.0 %){cost}" in lead([read_run(found)])


def test_a_search_without_a_training_is_named(tmp_path: Path) -> None:
    write_search(tmp_path / "run", PAPER_CELL, epochs=3)
    assert lead([read_run(tmp_path / "run")]) == ""
    (tmp_path / "run" / "genotype.json").write_text(PAPER_CELL.to_json())
    said = lead([read_run(tmp_path / "run")])
    assert said == "The search run found a network with 18.42 M MACs. It has not been trained and measured." or (
        said == "The search S found a network with 18.42 M MACs. It has not been trained and measured."
    )


def test_seeds_are_one_network_with_their_spread(tmp_path: Path) -> None:
    shares = (0.70, 0.75, 0.83)
    runs = []
    for seed, share in enumerate(shares):
        right = round(100 * share)
        confusion = np.array([[right, 100 - right], [0, 100]])
        folder = write_run(tmp_path / f"run{seed}", epochs=1, classes=("a", "b"), confusion=confusion)
        runs.append(read_run(configured(folder, seed)))
    other = write_baseline(tmp_path / "resnet8", "resnet8", 0.6, 13_530_000, 79_300)
    write_evaluation(other, model="resnet8", classes=("a", "b"), confusion=np.array([[60, 40], [0, 100]]), macs=10**7)
    runs.append(read_run(other))
    networks = networks_of(runs)
    assert [(one.name, len(one.runs), one.kind) for one in networks] == [
        ("S+C+D", 3, "found"),
        ("ResNet-8", 1, "baseline"),
    ]
    oas = 100 * (np.array(shares) + 1) / 2
    assert (networks[0].oa.mean, networks[0].oa.deviation) == pytest.approx((oas.mean(), oas.std(ddof=1)))
    said = f"{oas.mean():.1f} ± {oas.std(ddof=1):.1f} % of the 200 test patches correctly"
    assert f"{said} (mean and standard deviation over 3 seeds)" in lead(runs)
    planes = planes_of(runs)
    assert "bars one standard deviation over seeds (S+C+D 3, ResNet-8 1)" in planes.note
    low, high = oas.mean() - oas.std(ddof=1), oas.mean() + oas.std(ddof=1)
    tips = [title.text or "" for title in planes.figures[0].iter("title")]
    assert any(tip.startswith(f"S+C+D: OA {oas.mean():.2f} % ({low:.2f} to {high:.2f})") for tip in tips), tips


def test_date_and_duration_are_those_of_the_stages(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", epochs=1)
    assert "finished" not in Page(write_report([run], tmp_path / "page.html")).text
    (run / "search" / "seconds.json").write_text("720.5")
    (run / "train" / "seconds.json").write_text("7300")
    for stage, day in (("search", 3), ("train", 5)):
        seconds = datetime(2026, 3, day, 12, tzinfo=UTC).timestamp()
        os.utime(run / stage / "seconds.json", (seconds, seconds))
    text = Page(write_report([run], tmp_path / "page.html")).text
    assert "finished 2026-03-05" in text and "duration search 12 min, training 2.0 h on 2 CPU threads" in text


def test_patches_are_shown_by_class_within_the_size_of_a_page(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", epochs=1)
    missing = Page(write_report([run], tmp_path / "page.html"))
    assert "There are no pictures of patches" in missing.text and not missing.values("src")
    write_examples(run)
    page = Page(write_report([run], tmp_path / "page.html"))
    assert_stands_alone(page)
    assert len(page.values("src")) == 2 * len(lcz.NAMES)
    assert "true colour (B04, B03, B02); each band is stretched from percentile 2" in page.text
    assert "row 1: Compact high-rise, taken for Compact mid-rise, confidence 90 %" in page.values("alt")
    assert "left out, because the page has 99999 runs" in patches_of(read_run(run), 99_999).words
    confusion = np.array(json.loads((run / "evaluation.json").read_text())["confusion"])
    write_evaluation(run, confusion=confusion + 1)
    assert "belong to another evaluation" in Page(write_report([run], tmp_path / "page.html")).text


@pytest.mark.parametrize(
    "change",
    [
        {"png": "x"},
        {"png": "PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+"},
        {"row": "a"},
        {"confidence": None},
    ],
)
def test_damaged_patches_are_one_line(tmp_path: Path, change: dict[str, Any]) -> None:
    run = write_run(tmp_path / "run", epochs=1)
    write_examples(run)
    raw = json.loads((run / "examples.json").read_text())
    raw["patches"][0] |= change
    (run / "examples.json").write_text(json.dumps(raw))
    with pytest.raises(UserError, match=r"examples\.json: not patches of an evaluation"):
        write_report([run], tmp_path / "page.html")


def test_a_folder_of_runs_and_a_front_stand_for_their_networks(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_baseline(tmp_path / "all" / name, "resnet8", 0.6, 13_530_000, 79_300)
    assert Page(write_report([tmp_path / "all"], tmp_path / "page.html")).source.count("<article") == 2
    front = write_run(tmp_path / "front", epochs=1)
    (front / "pareto").mkdir()
    rows: list[dict[str, Any]] = [
        {"name": "10M", "macs": 9_000_000, "supernet_oa": 0.5, "front": True},
        {"name": "20M", "macs": 19_000_000, "supernet_oa": 0.6, "front": True},
    ]
    (front / "pareto" / "front.json").write_text(json.dumps(rows))
    write_evaluation(front / "networks" / "10M", macs=9_000_000)
    page = Page(write_report([front], tmp_path / "page.html"))
    assert page.source.count("<article") == 2 and "20M: OA 60.00 %, 19 M MACs" in page.text
    (front / "pareto" / "front.json").write_text('[{"name": "x"}]')
    with pytest.raises(UserError, match=r"front\.json: not a front"):
        write_report([front], tmp_path / "page.html")
    (tmp_path / "study" / "jobs").mkdir(parents=True)
    with pytest.raises(UserError, match="holds a study"):
        write_report([tmp_path / "study"], tmp_path / "page.html")


def test_reliability_is_left_out_if_it_was_not_measured(tmp_path: Path) -> None:
    write_evaluation(tmp_path / "run")
    text = Page(write_report([tmp_path / "run"], tmp_path / "page.html")).text
    assert "this evaluation kept no confidences" in text and not re.search("ECE", text)
    assert Reliability((), (), ()).ece == 0.0
