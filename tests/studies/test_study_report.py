"""The report of a study: the paper's tables and figures, true to the jobs' files, whole or not, safe and readable."""

from __future__ import annotations

import csv
import json
import re
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.fake_study import fake_study, write_fake_study
from support.pages import HOSTILE, Page
from support.study_pages import page_of, whole_study

from compactnas import lcz
from compactnas.config import DataConfig
from compactnas.data.part_checks import MAY_MEMORISE
from compactnas.data.source import Facts
from compactnas.data.splits import make_parts
from compactnas.errors import UserError
from compactnas.reporting.study.paper import D2_PARTS, PRINTED
from compactnas.reporting.study.summary import headline
from compactnas.reporting.study.tables import split_table
from compactnas.studies import StudyConfig, StudyJob, expand
from compactnas.studies.reading import study_view
from compactnas.studies.reporting import write_study_report
from compactnas.studies.tables import Table, study_tables


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyConfig, Path, Page]:
    return whole_study(tmp_path_factory)


# The page


def test_the_page_holds_the_papers_tables_and_figures(whole: tuple[StudyConfig, Path, Page]) -> None:
    page = whole[2]
    for words in ("Table 1: d1", "Table 2: d2", "Accuracy and cost", "Differences", "Networks found", "Time"):
        assert words in page.text, words
    for words in (
        "Operations by frequency",
        "Searches",
        "Confusion of S+D",
        "random search",
        "candidate 1",
        "selected",
    ):
        assert words in page.text, words
    for method in ("ResNet-8", "ResNet-20", "ResNet-110", "S", "S+C", "S+D", "S+C+D", "random"):
        assert f'<th scope="col">{method}</th>' in page.source, method
    # Four searched methods and random search, each with cell and backbone, and their small cells; two random cells.
    cells = 5 * 2 + 4 * 2 + 3 + 2
    assert page.source.count('class="cn-figure') == cells + 2 * 2 + 3 + 2 + 1 + 1
    assert "of 63" not in page.text and f"{len(expand(whole[0]))} of {len(expand(whole[0]))}" in page.text


def test_the_papers_figures_stay_out_of_a_made_world(whole: tuple[StudyConfig, Path, Page]) -> None:
    _, root, page = whole
    assert "paper 64.96" not in page.text and "printed" not in page.values("class")
    assert "paper" not in (root / "tables.csv").read_text()


def test_files_are_the_same_bytes_and_hold_no_time_and_no_place(
    whole: tuple[StudyConfig, Path, Page], tmp_path: Path
) -> None:
    study, root, _ = whole
    write_fake_study(study, tmp_path)
    for seconds in tmp_path.glob("jobs/*/*/seconds.json"):
        seconds.write_text("12345.6")
    write_study_report(study, tmp_path, "Another title")
    for name in ("tables.md", "tables.csv", "tables.tex"):
        first = (root / name).read_bytes()
        assert (tmp_path / name).read_bytes() == first
        assert str(root) not in first.decode() and "somewhere" not in first.decode()


def test_names_from_files_are_escaped(tmp_path: Path) -> None:
    study = fake_study(
        splits={HOSTILE: {"split": "d1"}, "d2": {}},
        data=DataConfig(path=f"x/{HOSTILE}"),
        methods=("S",),
        baselines=("resnet8",),
    )
    classes = (HOSTILE, "b</style></svg><script>", "\ud800c", "a`b`c")

    def counts(job: StudyJob) -> NDArray[np.int64]:
        return np.eye(4, dtype=np.int64) * 5 + job.config.seed

    write_fake_study(study, tmp_path, confusion=counts, classes=classes, warnings={"d2": [HOSTILE, "`<b>`"]})
    page = page_of(study, tmp_path, HOSTILE)
    assert "<script>alert(1)</script>" in page.text and "<b>" in page.text
    assert not set(page.source) & {"\x00", "\x1b", "\x07"}
    latex = (tmp_path / "tables.tex").read_text()
    assert r"\{\{ 7*7 \}\}" in latex and r"\&amp;" in latex
    assert "\n|" in (tmp_path / "tables.md").read_text()


def test_a_cell_of_a_table_cannot_end_it() -> None:
    table = Table("a|b\nc", ("x_1 & 50 %", "\\end{document}"), (("OA %", ("1.0 ± 0.1", "#1 ~ ^")),))
    assert table.markdown().splitlines()[0] == r"| a\|b c | x\_1 \& 50 % | \\end{document} |"
    rows = list(csv.reader(StringIO(table.csv())))
    assert rows[0] == ["a|b\nc", "x_1 & 50 %", "\\end{document}"]
    lines = table.latex().splitlines()
    assert r"x\_1 \& 50 \% & \textbackslash{}end\{document\}" in table.latex() and lines[0].endswith("{lrr}")
    assert r"1.0 $\pm$ 0.1 & \#1 \textasciitilde{} \textasciicircum{}" in table.latex()


# What is not finished


def test_nothing_done_is_a_page_that_says_so(tmp_path: Path) -> None:
    study = fake_study()
    assert study_tables(study, tmp_path) == []
    page = page_of(study, tmp_path)
    assert f"0 of {len(expand(study))} jobs are done" in page.text and "search S, seed 0" in page.text


@pytest.mark.parametrize("seed", range(0, 6, 2))
def test_any_part_of_a_study_has_a_report_that_says_what_is_missing(tmp_path: Path, seed: int) -> None:
    study, random = fake_study(), np.random.default_rng(seed)
    done = {job.key for job in expand(study) if random.random() < (seed + 1) / 8}
    write_fake_study(study, tmp_path, keep=lambda job: job.key in done)
    page = page_of(study, tmp_path)
    assert f"{len(done)} of {len(expand(study))} jobs are done" in page.text
    for table in study_tables(study, tmp_path):
        counted = {
            name: sum(job.split == table.split and job.method == key and job.key in done for job in expand(study))
            for key, name in [(m.key, m.name) for m in study_view(study, tmp_path).methods]
        }
        assert dict(zip(table.columns, map(int, dict(table.rows)["n"]), strict=True)) == {
            name: n for name, n in counted.items() if n
        }


@pytest.mark.parametrize("better", [True, False])
def test_the_headline_names_the_best_that_nobody_searched_for(tmp_path: Path, better: bool) -> None:
    """ResNet-110, that the cost is held against, need not be the best of those built by hand."""
    study = fake_study(splits=("d1",), baselines=("resnet20", "resnet110"), methods=("S",))

    def counts(job: StudyJob) -> NDArray[np.int64]:
        right = {"resnet20": 9 if better else 1, "resnet110": 5}.get(job.method, 3)
        return np.eye(17, dtype=np.int64) * right + 1

    write_fake_study(study, tmp_path, confusion=counts)
    text = headline(study_view(study, tmp_path))
    assert re.search(r"fewer parameters than ResNet-110 \(27\.27 %\)\. For comparison: ", text)
    assert ("comparison: ResNet-20 38.46 %, random 20.00 %" in text) == better and text.count("ResNet") == 1 + better


def test_a_split_is_told_by_whichever_job_knows_it(tmp_path: Path) -> None:
    """Of jobs that came from elsewhere only the small outputs may be there, and those may be the first ones."""
    study = fake_study()
    write_fake_study(study, tmp_path)
    whole = study_view(study, tmp_path).splits[0]
    here = [job.folder(tmp_path) for job in expand(study) if job.split == whole.name]
    for folder in here[:-1]:
        (folder / "splits.npz").unlink(missing_ok=True)
        (folder / "normalisation.json").unlink(missing_ok=True)
    assert whole.bands and whole.parts["train"] and study_view(study, tmp_path).splits[0] == whole
    (here[-1] / "splits.npz").unlink()
    (here[-1] / "normalisation.json").unlink()
    bare = study_view(study, tmp_path)
    measured = {run.evaluation.n for run in bare.trainings if run.split == whole.name}
    assert bare.splits[0].bands == () and bare.splits[0].parts["test"] in measured


def test_a_split_tells_its_pixels_and_its_largest_class(tmp_path: Path) -> None:
    study = fake_study(splits=("d1",), methods=("S",), baselines=("resnet8",))
    write_fake_study(study, tmp_path)
    files = sorted(tmp_path.rglob("evaluation.json"))
    found = [json.loads(file.read_text()) for file in files]
    task = {"bands": ["a"], "classes": found[0]["classes"], "patch_px": 8, "lcz": True, "pixel_m": 30.0}
    files[0].with_name("task.json").write_text(json.dumps(task))
    # Every made job has a confusion matrix of its own; those of a real study share their test part.
    shares = {f"{100 * max(map(sum, raw['confusion'])) / raw['n']:.1f}" for raw in found}
    told = re.search(r"pixels of 30 m · largest class (\S+) %", page_of(study, tmp_path).text)
    assert told is not None and told[1] in shares


def test_one_search_alone_is_selected_so_far(tmp_path: Path) -> None:
    study = fake_study()
    first = expand(study)[0]
    write_fake_study(study, tmp_path, keep=lambda job: job == first)
    view = study_view(study, tmp_path)
    assert [search.selected for search in view.searches] == [True]
    assert "selected so far seed 0, of 1" in page_of(study, tmp_path).text


def test_where_each_search_is_trained_none_is_called_selected(tmp_path: Path) -> None:
    study = fake_study(selection="each", searches=3, methods=("S", "S+D"), baselines=("resnet8",), random_search=False)
    write_fake_study(study, tmp_path)
    view, page = study_view(study, tmp_path), page_of(study, tmp_path)
    trained = [(one.method, one.seed) for one in view.searches if one.selected]
    assert trained == [(method, seed) for method in study.methods for seed in (0, 1)]  # two trainings, three searches
    assert "are trained from scratch in turn" in page.text
    assert "trained first seed 0, of 3" in page.text
    assert "selected" not in page.text


@pytest.mark.parametrize(
    ("kind", "file", "content", "named"),
    [
        ("random_search", "search/candidates.jsonl", '{"candidate": 0}\n', "candidates.jsonl"),
        ("random_search", "search/candidates.jsonl", "x", "candidates.jsonl"),
        ("search", "genotype.json", None, "genotype.json"),
        ("train", "splits.npz", "PK", "splits.npz"),
        ("train", "evaluation.json", "{", "evaluation.json"),
    ],
)
def test_a_damaged_file_is_one_line_that_names_it(
    tmp_path: Path, kind: str, file: str, content: str | None, named: str
) -> None:
    study = fake_study(splits=("d1",), methods=("S",), baselines=("resnet8",))
    write_fake_study(study, tmp_path)
    broken = next(job for job in expand(study) if job.kind == kind).folder(tmp_path) / file
    broken.unlink()
    if content is not None:
        broken.write_text(content)
    with pytest.raises(UserError, match=re.escape(named)) as caught:
        write_study_report(study, tmp_path, "")
    assert "\n" not in str(caught.value)


# The tables


def test_figures_are_means_and_deviations_of_the_evaluations(tmp_path: Path) -> None:
    study = fake_study(splits=("d1",), methods=("S",), baselines=("resnet8", "resnet110"), random_search=False)
    hits = {("resnet8", 0): 60, ("resnet8", 1): 70, ("resnet110", 0): 80, ("resnet110", 1): 80}

    def counts(job: StudyJob) -> NDArray[np.int64]:
        right = hits.get((job.method, job.config.seed), 50)
        return np.array([[right, 100 - right], [0, 100]])

    write_fake_study(study, tmp_path, confusion=counts, classes=("a", "b"))
    (table,) = study_tables(study, tmp_path)
    rows = dict(table.rows)
    assert table.columns == ("ResNet-8", "ResNet-110", "S", "random")
    # (60 + 100) / 200 and (70 + 100) / 200: 80 and 85, whose deviation is 5 / sqrt 2.
    assert rows["OA %"] == ("82.50 ± 3.54", "90.00", "75.00", "75.00")
    assert rows["AA %"] == rows["OA %"], "the classes are as frequent as each other"
    assert rows["Kappa"] == ("0.650 ± 0.071", "0.800", "0.500", "0.500")
    assert rows["Size (M parameters)"] == ("0.0793", "1.7320", "0.2240", "0.1310")
    assert rows["FLOPs (M MACs)"] == ("13.53", "254.18", "30.37", "18.40 ± 0.00")
    assert rows["Block's depth"] == ("NA", "NA", "3-3-3", "3-3-3")
    assert rows["MACs saved %"] == ("94.7", "-", "88.1", "92.8")
    assert rows["Parameters saved %"] == ("95.4", "-", "87.1", "92.4")
    assert rows["Rank by OA"] == ("2", "1", "3", "3") and rows["n"] == ("2",) * 4


def test_the_cost_of_resnet110_is_known_without_training_it(tmp_path: Path) -> None:
    study = fake_study(baselines=("resnet8",))
    write_fake_study(study, tmp_path)
    table = study_tables(study, tmp_path)[0]
    # 254.18 M MACs and 1.732 M parameters for 10 bands and 17 classes.
    assert dict(table.rows)["MACs saved %"][0] == "94.7" and dict(table.rows)["Parameters saved %"][0] == "95.4"
    assert any("was not trained here" in note for note in table.notes)
    write_fake_study(fake_study(), tmp_path)
    assert not any("was not trained here" in note for note in study_tables(fake_study(), tmp_path)[0].notes)


def test_columns_stand_in_the_papers_order_and_the_best_is_marked(whole: tuple[StudyConfig, Path, Page]) -> None:
    view = study_view(whole[0], whole[1])
    table = split_table(view, "d1")
    assert table is not None
    names = [method.name for method in table.methods]
    assert names == ["ResNet-8", "ResNet-20", "ResNet-110", "S", "S+C", "S+D", "S+C+D", "random", "random search"]
    assert table.spans == (("built by hand", 3), ("searched", 4), ("at random", 2))
    oa = next(line for line in table.lines if line.title == "OA %")
    best = max(float(entry.text) for entry in oa.entries)
    assert all(entry.best == (float(entry.text) == best) for entry in oa.entries)
    size = next(line for line in table.lines if line.title.startswith("Size"))
    assert [entry.best for entry in size.entries] == [True] + [False] * 8, "less is better"


# The paper's figures


def so2sat_counts(job: StudyJob) -> NDArray[np.int64]:
    """Confusion of So2Sat's own test part: its patches of each class on d1, a fifth of the training part's on d2."""
    if job.split == "d1":
        support = np.array(lcz.SO2SAT_TEST)
    else:
        support = np.random.default_rng(7).multivariate_hypergeometric(lcz.SO2SAT_TRAIN, D2_PARTS["test"])
    right = (support * 0.6).astype(np.int64)
    return np.diag(right) + np.roll(np.diag(support - right), 1, axis=1)


SO2SAT_PARTS = {"d1": {"train": 352_366, "validation": 24_119, "test": 24_188}, "d2": D2_PARTS}


def test_the_papers_figures_stand_beside_so2sats(tmp_path: Path) -> None:
    study = fake_study()
    write_fake_study(study, tmp_path, confusion=so2sat_counts, parts=SO2SAT_PARTS)
    first, second = (dict(table.rows) for table in study_tables(study, tmp_path))
    assert first["OA %, paper"] == ("60.25", "64.85", "67.60", "64.05", "64.25", "64.96", "64.00", "-", "-")
    assert second["Kappa, paper"] == ("0.958", "0.966", "0.984", "0.980", "0.975", "0.980", "0.975", "-", "-")
    assert first["Block's depth, paper"][:4] == ("NA", "NA", "NA", "3x3")
    page = page_of(study, tmp_path)
    assert "paper 64.96" in page.text and "is shown with it" in page.text and "ResNet32" in page.text


@pytest.mark.parametrize("change", ["a patch fewer", "a smaller training part", "other bands", "other classes"])
def test_anything_but_so2sat_gets_none_of_the_papers_figures(tmp_path: Path, change: str) -> None:
    study = fake_study()

    def counts(job: StudyJob) -> NDArray[np.int64]:
        made = so2sat_counts(job)
        if change == "a patch fewer":
            made[0, 0] -= 1
            if job.split == "d2":
                made[0, 0] += 1  # as many patches, but of the first class a tenth too many for a draw
                made[0, 0] += 200
                made[16, 16] -= 200
        return made

    parts = SO2SAT_PARTS | {"d1": {"train": 352_365}, "d2": {"train": 281_892, "test": 70_473}}
    classes = tuple(f"{name}?" for name in lcz.NAMES) if change == "other classes" else lcz.NAMES
    write_fake_study(
        study,
        tmp_path,
        confusion=counts,
        classes=classes,
        parts=parts if change == "a smaller training part" else SO2SAT_PARTS,
    )
    if change == "other bands":
        for file in tmp_path.glob("jobs/*/normalisation.json"):
            file.write_text('{"red": {}, "green": {}, "blue": {}}')
    assert not any("paper" in title for table in study_tables(study, tmp_path) for title, _ in table.rows)


def test_the_printed_figures_are_the_papers() -> None:
    oa = {"resnet8": "60.25", "resnet20": "64.85", "resnet110": "67.60", "S": "64.05", "S+C": "64.25", "S+D": "64.96"}
    assert {key: value.oa for key, value in PRINTED["d1"].items()} == oa | {"S+C+D": "64.00"}
    assert PRINTED["d2"]["S+C"].aa == "91.12" and PRINTED["d2"]["S+C+D"].kappa == "0.975"
    assert PRINTED["d1"]["S+C+D"].size == PRINTED["d2"]["S+C+D"].size == "0.130"


# Splits by place


@pytest.mark.parametrize(
    ("splits", "said", "unsaid"),
    [
        (("d1", "d2"), "Compare it with d1", "no split by place"),
        (("d2",), "There is no split by place besides d2", "Compare it with"),
        (("d2", "random"), "There is no split by place besides d2 and random", "Compare it with"),
        (("official", "random"), "(official may be one, but the study does not state it)", "Compare it with"),
        (("d1",), "OA", "test patches"),
        (("official",), "official: the parts come from the data or from a file", "no split by place"),
    ],
)
def test_a_random_split_never_stands_alone_unsaid(
    tmp_path: Path, splits: tuple[str, ...], said: str, unsaid: str
) -> None:
    study = fake_study(splits=splits, methods=("S",), baselines=("resnet8",))
    write_fake_study(study, tmp_path)
    text = page_of(study, tmp_path).text
    notes = text.split("Table 1")[0].replace("d1, test patches", "").replace("official, test patches", "")
    assert said in text and unsaid not in notes


def test_a_split_file_that_shares_places_counts_as_random(tmp_path: Path) -> None:
    groups = np.array(["a", "b"] * 20)
    facts = Facts("x", ("r",), ("p", "q"), 8, np.arange(40) // 2 % 2, groups=groups)
    warnings = make_parts(facts, DataConfig(split="random"))[1]
    assert any(MAY_MEMORISE in text for text in warnings), (
        "the warning has other words now: study/reading.py looks for these"
    )
    study = fake_study(
        splits={"far": {"split": "csv", "split_csv": "far.csv"}, "near": {"split": "csv", "split_csv": "near.csv"}}
    )
    study = fake_study(splits=study.splits, search_split="near")
    write_fake_study(study, tmp_path, warnings={"near": list(warnings)})
    assert [split.place for split in study_view(study, tmp_path).splits] == ["unknown", "mixed"]
    page = page_of(study, tmp_path)
    assert page.text.count("test accuracy may include memorised locations") == 1, "each warning once"
