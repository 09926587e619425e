"""A study over folds: what it expands to, that no search or choice reads a test fold, and its tables and page."""

from __future__ import annotations

import csv
import statistics
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from support.fake_study import fake_study, write_fake_study
from support.study_files import write_study
from support.study_pages import page_of
from support.tiny import write_patches

from compactnas.data import open_dataset
from compactnas.data.source import Indices, Source
from compactnas.errors import UserError
from compactnas.studies import StudyConfig, StudyJob, expand, read_study, run_study, running, study_tables
from compactnas.studies.reading import study_view

FOLDS = 3
CITIES: dict[str, Any] = {"splits": {"cities": {"split": "fold"}}, "folds": FOLDS}
FEW: dict[str, Any] = {"methods": ["S"], "baselines": ["resnet8"], "searches": 2, "retrainings": 1}


def city_study(where: Path, **changes: Any) -> StudyConfig:
    """A study file on patches of six cities, without the split of `SMALL`."""
    file = write_study(where, **(CITIES | FEW | changes))
    text = file.read_text().replace("search_split: random\n", "")
    file.write_text(text)
    data = where / "patches.npz"
    with np.load(data) as known:
        arrays = {name: known[name] for name in known}
    rows = len(arrays["labels"])
    np.savez(data, **(arrays | {"group": np.array([f"city {row // 2 % 6}" for row in range(rows)])}))
    return read_study(file)


def test_each_fold_is_searched_and_tested_on_its_own(tmp_path: Path) -> None:
    study = city_study(tmp_path)
    jobs = expand(study)
    assert study.tested == ("cities 1", "cities 2", "cities 3")
    searches = [job for job in jobs if job.kind == "search"]
    assert [job.name for job in searches[:3]] == [
        "search S on cities 1, seed 0",
        "search S on cities 1, seed 1",
        "search S on cities 2, seed 0",
    ]
    assert len({job.key for job in jobs}) == len(jobs) == FOLDS * (2 + 1 + 4)
    for job in jobs:
        number = int(job.split[-1]) - 1
        assert (job.config.data.split, job.config.data.folds, job.config.data.fold) == ("fold", FOLDS, number)
        assert {need.config.data for need in job.needs} <= {job.config.data}


def test_folds_of_files_are_numbered_from_one(tmp_path: Path) -> None:
    places = {"split": "csv", "split_csv": str(tmp_path / "fold_{fold}.csv"), "places": "apart"}
    study = city_study(tmp_path, splits={"places": places}, folds=5)
    files = [study.data_of(split).split_csv for split in study.tested]
    assert files == [str(tmp_path / f"fold_{number}.csv") for number in range(1, 6)]
    assert [study.places_of(split) for split in study.tested] == ["apart"] * 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"folds": 1}, "folds: 1; give 0"),
        ({"splits": ["random"]}, "folds: `splits` has to say where"),
        ({"splits": {"same": {"split": "csv", "split_csv": "a.csv"}}}, r"splits\.same: all folds would be the same"),
    ],
)
def test_folds_that_make_no_sense_are_one_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        city_study(tmp_path, **changes)
    with pytest.raises(UserError, match="search_split: with folds"):
        read_study(write_study(tmp_path, **(CITIES | FEW)))


class Watched:
    """A source that keeps which rows are read."""

    def __init__(self, inner: Source) -> None:
        self.inner, self.facts, self.read = inner, inner.facts, set[int]()

    def batch(self, indices: Indices) -> tuple[NDArray[Any], NDArray[np.int64]]:
        self.read |= set(indices.tolist())
        return self.inner.batch(indices)


def test_nothing_is_chosen_on_a_test_fold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches, random searches and trainings of a fold read no patch of its test part; only its evaluations do."""
    study = city_study(tmp_path, folds=2)
    read: dict[str, set[int]] = {}
    test: dict[str, set[int]] = {}

    def watched(config: Any) -> Any:
        data = open_dataset(config)
        return replace(data, source=Watched(data.source))

    def run_and_note(job: StudyJob, root: Path, listener: Any, data: Any, **options: Any) -> None:
        held = set(data.parts["test"].tolist())
        data.source.read.clear()
        inner_evaluate = running.evaluate_stage

        def evaluate(folder: Path, **known: Any) -> Any:
            read[job.name] = set(data.source.read)
            return inner_evaluate(folder, **known)

        with monkeypatch.context() as patch:
            patch.setattr(running, "evaluate_stage", evaluate)
            run_job(job, root, listener, data, **options)
        read.setdefault(job.name, set(data.source.read))
        test[job.name] = held

    run_job = running.run_job
    monkeypatch.setattr(running, "open_dataset", watched)
    monkeypatch.setattr(running, "run_job", run_and_note)
    run_study(study, tmp_path / "study")
    jobs = expand(study)
    assert read.keys() == {job.name for job in jobs}
    for job in jobs:
        assert read[job.name] and test[job.name]
        assert not read[job.name] & test[job.name], job.name
    view = study_view(study, tmp_path / "study")
    assert {run.split for run in view.trainings} == set(study.tested)
    assert all(
        sum(one.selected for one in view.searches if (one.method, one.split) == ("S", f)) == 1 for f in study.tested
    )


def fake(tmp_path: Path, done: float = 1.0) -> StudyConfig:
    """A finished study of five folds and two seeds, with accuracies that differ by fold, seed and method."""
    splits = {"places": {"split": "csv", "split_csv": "fold_{fold}.csv", "places": "apart"}}
    study = fake_study(splits=splits, folds=5, methods=("S",), baselines=("resnet8", "resnet20"))

    def counts(job: StudyJob) -> NDArray[np.int64]:
        right = 20 + 3 * int(job.split[-1]) + job.config.seed + 2 * len(job.method) % 7 + int(job.split[-1]) % 3
        return np.eye(17, dtype=np.int64) * right + 1

    rng = np.random.default_rng(0)
    write_fake_study(study, tmp_path, confusion=counts, keep=lambda job: rng.random() <= done)
    return study


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyConfig, Path]:
    root = tmp_path_factory.mktemp("finished")
    return fake(root), root


def test_tables_over_folds_are_what_a_plain_computation_gives(finished: tuple[StudyConfig, Path]) -> None:
    study, root = finished
    view, tables = study_view(study, root), study_tables(study, root)
    assert [table.split for table in tables[:3]] == ["places, 5 folds", "places, differences", "places 1"]

    def oa(method: str, fold: str) -> list[float]:
        return [100 * run.evaluation.measures.oa for run in view.runs(method, fold)]

    means, pairs = tables[:2]
    for name, cell in zip(means.columns, dict(means.rows)["OA %"], strict=True):
        key = next(method.key for method in view.methods if method.name == name)
        by_fold = [statistics.fmean(oa(key, fold)) for fold in study.tested]
        assert cell == f"{statistics.fmean(by_fold):.2f} ± {statistics.stdev(by_fold):.2f}"
    assert dict(means.rows)["n"] == ("10",) * len(means.columns)
    row = dict(zip(pairs.columns, dict(pairs.rows)["S minus ResNet-8"], strict=True))
    gaps = [
        statistics.fmean(a - b for a, b in zip(oa("S", fold), oa("resnet8", fold), strict=True))
        for fold in study.tested
    ]
    exact = stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
    assert row["difference"] == f"{statistics.fmean(gaps):+.2f}"
    assert row["95 % t interval"] == f"{exact.low:+.2f} to {exact.high:+.2f}"
    assert (row["folds"], row["pairs"]) == ("5", "10")
    assert not any("ResNet-8 minus S" in title for title, _ in pairs.rows)


def test_files_and_page_show_the_folds(finished: tuple[StudyConfig, Path]) -> None:
    study, root = finished
    page = page_of(study, root)
    assert "over 5 folds" in page.text and "S minus ResNet-8" in page.text
    assert "with 5 folds it is never below 0.0625" in page.text
    rows = list(csv.reader(StringIO((root / "tables.csv").read_text())))
    assert rows[0][0] == "places, 5 folds" and [r[0] for r in rows if r and "differ" in r[0]] == ["places, differences"]
    assert "S minus ResNet-8" in (root / "tables.tex").read_text()
    assert "places 2, seed 1" in page.text


@pytest.mark.parametrize("done", [0.0, 0.6])
def test_half_a_study_shows_only_pairs_that_are_there(tmp_path: Path, done: float) -> None:
    study = fake(tmp_path, done)
    if done:
        page_of(study, tmp_path)
    view = study_view(study, tmp_path)
    for table in study_tables(study, tmp_path):
        if table.split != "places, differences":
            continue
        for title, cells in table.rows:
            names = title.split(" minus ")
            keys = [next(m.key for m in view.methods if m.name == name) for name in names]
            seeds = [[{run.seed for run in view.runs(key, fold)} for key in keys] for fold in study.tested]
            assert int(cells[-1]) == sum(len(one & other) for one, other in seeds)


def test_patches_without_folds_are_as_before(tmp_path: Path) -> None:
    write_patches(tmp_path / "patches.npz")
    study = fake_study()
    assert study.tested == ("d1", "d2") and study.grounds == {} and study.searched_on("d1") == study.search_split
    assert all(job.split == "" for job in expand(study) if job.kind != "train")
