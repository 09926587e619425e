"""A study: what it expands to, that nothing is computed twice, and tables that say what the runs say."""

from __future__ import annotations

import csv
import json
import re
import shutil
import statistics
from dataclasses import replace
from io import StringIO
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.study_files import SMALL, write_study
from support.tiny import BANDS, CLASSES, SIDE, Killed

from compactnas.cli import main
from compactnas.config import DataConfig, RunConfig, SearchConfig
from compactnas.cost.counter import count, genotype_cost, work
from compactnas.cost.table import empty_genotype
from compactnas.data import halves, open_dataset
from compactnas.data.formats.so2sat import FILES
from compactnas.errors import UserError
from compactnas.lcz import SO2SAT_COUNTS
from compactnas.nn.baselines import baseline_label
from compactnas.nn.network import Network
from compactnas.nn.registry import ModelSpec
from compactnas.reporting.study.summary import tiles_of
from compactnas.reporting.study.tables import split_table
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space
from compactnas.studies import StudyConfig, expand, plan, read_study, run_study, study_tables
from compactnas.studies.estimating import Shape, Step, measure_step
from compactnas.studies.jobs import jobs_to_do
from compactnas.studies.random_search import Sizes, random_search_stage, search_work
from compactnas.studies.reading import study_view
from compactnas.studies.running import chosen, run_job
from compactnas.training.runtime import Silent

STEP = Step(2.0, 1.5)


def test_methods_of_ones_own_are_searches_of_ones_own(tmp_path: Path) -> None:
    methods = {
        "by DARTS": {"strategy": "darts", "search_depth": False},
        "narrower": {"space": {"widths": [0.5, 1.0]}},
        "within 20 k": {"max_parameters": 20000.0},
    }
    study = read_study(write_study(tmp_path, methods=methods))
    jobs = expand(study)
    searches = {job.method: job.config.search for job in jobs if job.kind == "search"}
    assert searches["by DARTS"] == replace(study.search, strategy="darts", search_depth=False)
    assert searches["within 20 k"] == replace(study.search, max_parameters=20000.0)
    spaces = {job.method: job.config.space for job in jobs if job.kind == "search"}
    assert searches["narrower"] == study.search and spaces["narrower"] == replace(study.space, widths=(0.5, 1.0))
    assert spaces["by DARTS"] == study.space
    last = read_study(write_study(tmp_path, methods={"narrower": methods["narrower"]}))
    drawn = [job for job in expand(last) if job.kind == "random_search" or job.method == "random"]
    assert {job.config.space.widths for job in drawn} == {(0.5, 1.0)}


def test_a_plan_times_the_networks_of_each_methods_own_space(tmp_path: Path) -> None:
    methods = {"wide": {"space": {"channels": 8}, "initial_depth": 2}, "last": {"space": {"layout": "lean"}}}
    study = read_study(write_study(tmp_path, methods=methods, random=True))
    shapes: list[Shape] = []

    def steps(given: list[Shape]) -> list[Step]:
        shapes.extend(given)
        return [STEP] * len(given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("compactnas.studies.planning.measure_steps", steps)
        plan(study, tmp_path / "study")
    timed = {
        (shape.spec.genotype.layout, shape.spec.genotype.channels)
        for shape in shapes
        if shape.spec is not None and shape.spec.genotype is not None
    }
    assert timed == {("paper", 8), ("lean", 4)}


def test_methods_that_differ_in_name_only_are_searched_once(tmp_path: Path) -> None:
    methods = {"base": {}, "the same": {"weight_decay": 3e-4}}
    jobs = expand(read_study(write_study(tmp_path, methods=methods)))
    begun = jobs_to_do(jobs, tmp_path / "study")
    assert len({job.key for job in jobs}) == len(begun) < len(jobs)
    assert begun == [job for place, job in enumerate(jobs) if job.key not in {one.key for one in jobs[:place]}]


def test_a_split_leaves_out_options_that_only_other_splits_of_the_study_use() -> None:
    data = DataConfig("x", test_fraction=0.3, block_m=700.0)
    study = StudyConfig(data=data, splits=("d1", "random"), methods=("S",))
    assert (study.data_of("d1").test_fraction, study.data_of("random").test_fraction) == (0.2, 0.3)
    assert study.data_of("random").split_options_without_effect() == ("block_m",)  # of no split: an error with the data


def test_a_random_search_may_be_as_long_as_each_of_several_methods(tmp_path: Path) -> None:
    methods = {"short": {"epochs": 1}, "long": {"epochs": 3}, "another": {"epochs": 2}}
    study = read_study(write_study(tmp_path, methods=methods, random_search=["long", "short"]))
    jobs = {job.name: job for job in expand(study)}
    names = {"long": "random search as long as long", "short": "random search as long as short"}
    for like, name in names.items():
        job = jobs[f"{name}, seed 0"]
        assert job.kind == "random_search" and {need.method for need in job.needs} == {like}
        assert jobs[f"train {name} on official, seed 1"].needs == (job,)
    assert len({job.key for job in jobs.values()}) == len(jobs)
    assert not any(job.method == "random search" for job in jobs.values())
    taken = write_study(tmp_path, methods={"a": {}, "random search as long as a": {}}, random_search=["a"])
    with pytest.raises(UserError, match=r"methods\.random search as long as a: is the name of another"):
        read_study(taken)


GUESS = {
    "format": "compactnas-genotype/1",
    "layout": "paper",
    "channels": 4,
    "depths": [1, 1, 1],
    "nodes": [[["sep_conv_3x3", 0]], [["skip_connect", 0], ["sep_conv_3x3", 1]], [["skip_connect", 0]]],
}


def test_networks_of_ones_own_are_trained_beside_the_others(tmp_path: Path) -> None:
    file = tmp_path / "guess.json"
    file.write_text(json.dumps(GUESS))
    few = {"methods": [], "random": False, "random_search": False, "baselines": [], "splits": ["official"]}
    study = read_study(write_study(tmp_path, networks={"written": GUESS, "of a file": str(file)}, **few))
    root = tmp_path / "study"
    run_study(study, root)
    view = study_view(study, root)
    macs = genotype_cost(Genotype.load(file), BANDS, CLASSES, SIDE).macs
    for name in ("written", "of a file"):
        assert [run.evaluation.macs for run in view.runs(name, "official")] == [macs, macs]
    table = split_table(view, "official")
    assert table is not None and table.spans == (("given", 2),)
    assert [tile.name for tile in tiles_of(view)[2:]] == ["jobs done", "best given, OA on official"]
    assert [tiles_of(replace(view, retrainings=n))[2].below for n in (1, 2)] == [
        "trained once each",
        "2 trainings each",
    ]
    assert all(one.macs == macs and one.done for one in plan(study, root).jobs)
    other = GUESS | {"channels": 8}
    keys = [expand(read_study(write_study(tmp_path, networks={"it": one}, **few)))[0].key for one in (GUESS, other)]
    assert keys[0] != keys[1]
    for networks, said in (
        ({"resnet8": GUESS}, "is the name of another network"),
        ({"odd": GUESS | {"channels": 0}}, r"networks\.odd: genotype"),
        ({"odd": str(tmp_path / "absent.json")}, r"networks\.odd: .*absent\.json"),
        ({"odd": GUESS | {"other": 2}}, r"networks\.odd: .*unknown key: other"),
    ):
        with pytest.raises(UserError, match=said):
            read_study(write_study(tmp_path, networks=networks, **few))


def test_networks_of_a_folder_are_named_as_their_files(tmp_path: Path) -> None:
    few = {"methods": [], "random": False, "random_search": False, "baselines": [], "splits": ["official"]}
    (tmp_path / "genotypes").mkdir()
    with pytest.raises(UserError, match=r"genotypes holds no genotype"):
        read_study(write_study(tmp_path, networks=str(tmp_path / "genotypes"), **few))
    for name in ("001", "000"):
        (tmp_path / "genotypes" / f"{name}.json").write_text(json.dumps(GUESS))
    study = read_study(write_study(tmp_path, networks=str(tmp_path / "genotypes"), **few))
    assert [job.method for job in expand(study)] == ["000", "001"] * study.retrainings


def test_a_study_is_methods_by_splits_by_seeds(tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path))
    assert study.search.epochs == 2 and study.space.channels == 4
    jobs = expand(study)
    assert [job.name for job in jobs[:4]] == [f"search {m}, seed {s}" for m in ("S", "S+C+D") for s in (0, 1)]
    assert len(jobs) == 2 * 2 + 1 + 2 * 2 * (1 + 2 + 2)
    assert len({job.key for job in jobs}) == len(jobs)
    seen: set[str] = set()
    for job in jobs:
        assert all(need.key in seen for need in job.needs)
        seen.add(job.key)
    settings = {job.method: job.config.search.setting for job in jobs if job.kind == "search"}
    assert settings == {"S": "S", "S+C+D": "S+C+D"}


def test_each_search_can_be_retrained_instead_of_the_best(tmp_path: Path) -> None:
    jobs = expand(read_study(write_study(tmp_path, selection="each", retrainings=3)))
    for job in jobs:
        if job.kind == "train" and job.method in ("S", "S+C+D"):
            (search,) = job.needs
            assert search.method == job.method and search.config.seed == job.config.seed % 2
        elif job.kind == "random_search":
            assert len(job.needs) == 2
    assert len({job.key for job in jobs}) == len(jobs)


def test_a_jobs_name_is_what_it_computes(tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path))
    keys = {job.name: job.key for job in expand(study)}
    longer = {job.name: job.key for job in expand(replace(study, search=replace(study.search, epochs=3)))}
    # Another search changes searches and what is trained from them, and no baseline.
    assert keys["train resnet8 on random, seed 1"] == longer["train resnet8 on random, seed 1"]
    for name in ("search S, seed 0", "train S on official, seed 0", "train random on official, seed 0"):
        assert keys[name] != longer[name]
    other = {job.name: job.key for job in expand(replace(study, train=replace(study.train, epochs=2)))}
    assert keys["search S, seed 0"] == other["search S, seed 0"]
    assert keys["train resnet8 on random, seed 1"] != other["train resnet8 on random, seed 1"]
    more = {job.name: job.key for job in expand(replace(study, retrainings=3))}
    assert keys.items() <= more.items()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyConfig, Path]:
    where = tmp_path_factory.mktemp("study")
    study = read_study(write_study(where))
    run_study(study, where / "out")
    return study, where / "out"


def test_tables_say_what_the_runs_say(whole: tuple[StudyConfig, Path]) -> None:
    study, root = whole
    tables = study_tables(study, root)
    assert [table.split for table in tables] == ["official", "random"]
    for table in tables:
        assert table.columns == ("ResNet-8", "S", "S+C+D", "random", "random search")
        rows = dict(table.rows)
        assert rows["n"] == ("2",) * 5
        for place, method in enumerate(table.columns):
            runs = [
                json.loads((job.folder(root) / "evaluation.json").read_text())
                for job in expand(study)
                if job.kind == "train" and (baseline_label(job.method), job.split) == (method, table.split)
            ]
            values = [100 * run["measures"]["oa"] for run in runs]
            expected = f"{statistics.mean(values):.2f}"
            if values[0] != values[1]:
                expected += f" ± {statistics.stdev(values):.2f}"
            assert rows["OA %"][place] == expected
        depths = rows["Block's depth"]
        assert depths[0] == "NA" and depths[1].count("-") == 2
        read = list(csv.reader(StringIO(table.csv())))
        assert read[0] == [table.split, *table.columns] and read[1][0] == "OA %"
        assert table.markdown().count("\n") == len(table.rows) + 2
        assert r"OA \% &" in table.latex() and "±" not in table.latex()


def test_the_search_with_the_best_accuracy_is_taken(whole: tuple[StudyConfig, Path]) -> None:
    study, root = whole
    jobs = expand(study)
    for method in study.methods:
        searches = tuple(job for job in jobs if job.kind == "search" and job.method == method)
        lines = [(job.folder(root) / "search" / "metrics.jsonl").read_text().splitlines()[-1] for job in searches]
        accuracies = [json.loads(line)["accuracy_alpha"] for line in lines]
        taken = chosen(searches, root)
        assert taken == searches[accuracies.index(max(accuracies))].folder(root)
        for job in jobs:
            if job.method == method and job.kind == "train":
                assert (job.folder(root) / "genotype.json").read_bytes() == (taken / "genotype.json").read_bytes()


def test_random_search_spends_what_the_searches_spent_and_takes_its_best(whole: tuple[StudyConfig, Path]) -> None:
    study, root = whole
    job = next(job for job in expand(study) if job.kind == "random_search")
    lines = (job.folder(root) / "search" / "candidates.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    best = max(rows, key=lambda row: row["accuracy"])["genotype"]
    assert json.loads((job.folder(root) / "genotype.json").read_text()) == best
    like = genotype_cost(Genotype.load(chosen(job.needs, root)), BANDS, CLASSES, SIDE).macs
    assert all(abs(row["macs"] - like) <= 0.02 * like for row in rows)
    assert len({json.dumps(row["genotype"]) for row in rows}) == len(rows)
    for other in expand(study):
        if other.needs == (job,):
            assert (other.folder(root) / "genotype.json").read_bytes() == (
                job.folder(root) / "genotype.json"
            ).read_bytes()


@pytest.mark.parametrize("depth", [False, True])
def test_the_work_of_a_search_is_that_of_the_paths_it_runs(depth: bool) -> None:
    """With one operation to choose from the path is one network, and its work is known."""
    space, sizes = Space(channels=4, max_depth=2, operations=("sep_conv_3x3",)), Sizes(3, 4, 16)
    nodes = tuple(tuple(("sep_conv_3x3", s) for n, s in space.edges if n == node) for node in range(space.computed))
    path, empty = Network(Genotype(nodes, (2, 2, 2), 4), 3, 4), Network(empty_genotype(space, (1, 1, 1)), 3, 4)
    # What a search would report: the cost at the depths that it expects, here 1.5 of 2 where depth is searched.
    fixed, whole = count(empty, 3, 16).macs, count(path, 3, 16).macs
    expected = fixed + (whole - fixed) * (0.75 if depth else 1.0)
    config = SearchConfig(search_depth=depth, initial_depth=2, batch_size=16, epochs=3, warmup=1)
    rows = [{"epoch": e, "expected_macs": expected, "depths": [1.5 if depth else 2.0] * 3} for e in (1, 2, 3)]
    assert search_work(rows, config, space, sizes, 50) == pytest.approx((3 + 5 + 5) * work(path, 3, 16) * 3 * 16)
    halved = search_work(rows, replace(config, sampled_inputs=1), space, sizes, 50)
    assert halved == pytest.approx(13 * (work(empty, 3, 16) + work(path, 3, 16)) / 2 * 48)
    drawn = search_work(rows, replace(config, depth_mode="sample"), space, sizes, 50)
    share = 0.75 if depth else 1.0
    assert drawn == pytest.approx(13 * ((1 - share) * work(empty, 3, 16) + share * work(path, 3, 16)) * 48)


def test_the_work_of_a_search_that_runs_all_operations_or_measures_candidates() -> None:
    """Against the passes of networks that are built; on one edge a mixture is the sum of its operations."""
    space, sizes = Space(channels=4, nodes=2, blocks=1, inputs_per_node=1), Sizes(3, 5, 16)
    paths = [Network(Genotype((((name, 0),),), (2,), 4), 3, 5) for name in space.operations]
    bare = Network(Genotype(((("none", 0),),), (2,), 4), 3, 5)
    works = [work(path, 3, 16) for path in paths]
    mixture = sum(works) - 7 * work(bare, 3, 16)
    config = SearchConfig(search_depth=False, initial_depth=2, batch_size=16, candidates=10)
    rows = [{"epoch": 1, "depths": [2.0]}, {"epoch": 2, "depths": [2.0]}]
    for strategy, passes in (("darts", 5), ("snas", 5), ("darts_second_order", 13)):
        found = search_work(rows, replace(config, strategy=strategy), space, sizes, 50)
        assert found == pytest.approx(passes * mixture * 2 * 48)
    drawn = search_work(rows, replace(config, strategy="uniform"), space, sizes, 50)
    assert drawn == pytest.approx((3 * 2 + 10) * np.mean(works[1:]) * 48)  # never `none`
    one = [row | {"expected_macs": 10**6} for row in rows]
    both = [search_work(one, replace(config, strategy=name), space, sizes, 50) for name in ("gdas", "proxyless")]
    assert both[1] == pytest.approx(both[0] * 6 / 5)


def test_a_random_search_draws_until_its_budget_is_spent_and_resumes(tmp_path: Path) -> None:
    config = read_study(write_study(tmp_path, random_epochs=2))
    job = next(job for job in expand(config) if job.kind == "random_search")
    data = open_dataset(job.config.data)
    like = Genotype(((("skip_connect", 0),), (("avg_pool_3x3", 0),), (("skip_connect", 1),)), (1, 1, 1), 4)
    price = 1.1 * work(Network(like, BANDS, CLASSES), BANDS, SIDE) * (3 * 2 + 1) * len(data.parts["train"]) / 2

    class Fragile(Silent):
        left = 4  # in the second candidate

        def epoch(self, metrics: dict[str, object]) -> None:
            self.left -= 1
            if not self.left:
                raise Killed

    for name, listener in (("whole", Silent()), ("again", Fragile())):
        for _ in range(2):
            try:
                random_search_stage(job.config, tmp_path / name, like, 6.5 * price, listener=listener, data=data)
            except Killed:
                assert len((tmp_path / name / "search" / "candidates.jsonl").read_text().splitlines()) == 1
                left = tmp_path / name / "search" / "candidates" / "0000" / "train" / "checkpoint-000002-000000000.pt"
                left.touch()  # as a kill leaves it after the row is written
    assert not left.exists()
    for file in ("genotype.json", "search/candidates.jsonl"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()
    rows = [json.loads(line) for line in (tmp_path / "whole" / "search" / "candidates.jsonl").read_text().splitlines()]
    assert len(rows) >= 3 and sum(row["work"] for row in rows) <= 6.5 * price
    weights, alpha = map(len, halves(data.parts["train"], 0))
    for row in rows:
        network = Network(Genotype.from_json(json.dumps(row["genotype"])), BANDS, CLASSES)
        assert row["work"] == (3 * 2 * weights + alpha) * work(network, BANDS, SIDE)


def test_an_interrupted_study_repeats_nothing_and_ends_with_the_same_tables(
    whole: tuple[StudyConfig, Path], tmp_path: Path
) -> None:
    _, root = whole
    study = replace(whole[0], splits=("official",), methods=("S+C+D",))

    class Fragile(Silent):
        """Dies in the epoch of that number, counted over all jobs."""

        def __init__(self, left: int) -> None:
            self.left = left

        def epoch(self, metrics: dict[str, object]) -> None:
            self.left -= 1
            if not self.left:
                raise Killed

    begun: list[str] = []
    jobs = [job for job in expand(study) if job.kind != "train" or job.config.seed == 0]
    for job in expand(study):
        if job not in jobs:  # done before; such a job is not begun again
            shutil.copytree(job.folder(root), job.folder(tmp_path))
    for left in (3, 2, 4):
        with pytest.raises(Killed):
            run_study(study, tmp_path, listener=Fragile(left), told=lambda n, of, job: begun.append(job.name))
    run_study(study, tmp_path, told=lambda n, of, job: begun.append(job.name))
    assert len(begun) == len(jobs) + 3  # the three that were interrupted, and no other, began again
    assert set(begun) == {job.name for job in jobs}
    run_study(study, tmp_path, told=lambda n, of, job: pytest.fail("nothing was left to do"))
    assert study_tables(study, tmp_path) == study_tables(study, root)
    for job in expand(study):  # the whole study holds these jobs too
        for name in ("genotype.json", "evaluation.json", "model.safetensors"):
            if (file := job.folder(root) / name).exists():
                assert (job.folder(tmp_path) / name).read_bytes() == file.read_bytes()


def test_the_command_plans_runs_and_reports(
    whole: tuple[StudyConfig, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, root = whole
    file = str(root.parent / "study.yaml")
    assert main(["study", file, "--output", str(tmp_path / "new"), "--plan"]) == 0
    shown = capsys.readouterr().out
    assert "25 jobs, 0 done" in shown and not (tmp_path / "new").exists()
    assert len(re.findall(r"~\d+(\.\d)? (s|min|h), \d\.\d GiB", shown)) == 25
    assert main(["study", file, "--output", str(root)]) == 0
    shown = capsys.readouterr().out
    assert "| official | ResNet-8 | S | S+C+D | random | random search |" in shown and "job " not in shown
    for name in ("tables.md", "tables.csv", "tables.tex", "report.html"):
        assert (root / name).stat().st_size > 100


WRONG = {
    "no file": (None, "No such file"),
    "not YAML": ("a: [", "not YAML"),
    "a list": ("- a", "not a mapping of names to values"),
    "an unknown recipe": ("recipe: grand", "recipe 'grand' is unknown"),
    "an unknown name": ("seeds: 4", "seeds"),
    "an unknown method": ("methods: [T]", "methods: 'T' is unknown; use some of S, S+C, S+D, S+C+D, or names of"),
    "a method of unknown fields": (
        "methods: {mine: {stratgy: darts}}",
        "methods.mine: stratgy: unknown key; did you mean strategy?",
    ),
    "a method that is refused": (
        "methods: {mine: {strategy: darts, sampled_inputs: 2}}",
        "methods.mine: search.sampled",
    ),
    "a method with a baseline's name": ("methods: {resnet8: {}}", "methods.resnet8: is the name of another network"),
    "an unknown baseline": ("baselines: [vgg]", "baselines: vgg is unknown"),
    "no searches": ("searches: 0", "searches: 0 is less than 1"),
    "nothing": ("{methods: [], baselines: [], random: false, random_search: false}", "nothing to compare"),
    "random of nothing": ("{methods: []}", "random: random cells cost as much as"),
    "random search of nothing": ("{methods: [], random: false}", "random_search: random cells cost as much as"),
    "random search of an unknown one": (
        "random_search: [T]",
        "random_search: 'T' is not a method of this study; use true",
    ),
    "random search of one twice": ("random_search: [S, S]", "random_search: a name is listed twice"),
    "a space that is no mapping": ("methods: {mine: {space: mobile}}", "methods.mine: space: 'mobile' has no names"),
    "an empty space": ("methods: {mine: {space: }}", "methods.mine: space: None has no names"),
    "several devices": ("machine: {devices: 2}", "machine.devices: a study computes each job on one device"),
    "unknown places": ("splits: {d1: {places: far}}", "splits.d1: places: 'far' is unknown"),
    "an unknown selection": ("selection: worst", "selection"),
    "an unknown split": ("search_split: north", "search_split: 'north' is unknown"),
    "a wrong value of a split": ("splits: {north: {split: up}}", "splits.north"),
    "twice": ("methods: [S, S]", "methods: a name is listed twice"),
    "a wrong value below": ("search: {epochs: many}", "search.epochs: expected a whole number; found many"),
    "none of two kinds": (
        "random_search: 3",
        "random_search: expected true or false or a list of names, [a,b]; found 3",
    ),
    "none of the words": ("selection: worst", "selection: use one of 'best', 'each'; found worst"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_study_is_one_error_that_names_the_file(tmp_path: Path, name: str) -> None:
    text, message = WRONG[name]
    file = tmp_path / "study.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError) as caught:
        read_study(file)
    assert message in str(caught.value) and "study.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_the_example_is_a_study(repository: Path) -> None:
    assert len(expand(read_study(repository / "examples" / "paper.yaml"))) == 4 * 2 + 1 + 2 * 2 * (2 + 4 + 2)


def test_the_papers_study_plans_on_files_of_so2sats_real_shapes(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files' pixels are never written, and never read."""
    for part, counts in SO2SAT_COUNTS.items():
        file = tmp_path / "So2Sat" / "v2" / FILES[part]
        file.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(file, "w") as h5:
            h5.create_dataset("sen2", (sum(counts), 32, 32, 10), "float64")
            h5["label"] = np.eye(17, dtype=np.uint8)[np.repeat(np.arange(17), counts)]
    monkeypatch.chdir(tmp_path)
    kinds: list[Shape] = []

    def measured(shapes: list[Shape]) -> list[Step]:
        kinds.extend(shapes)
        return [Step(0.5, 1.0)] * len(shapes)

    monkeypatch.setattr("compactnas.studies.planning.measure_steps", measured)
    assert main(["study", str(repository / "examples" / "so2sat.yaml"), "--output", "study", "--plan"]) == 0
    shown = capsys.readouterr().out
    assert "d2: train 281,893, test 70,473" in shown
    assert "d1: train 352,366, validation 24,119, test 24,188" in shown
    assert shown.count("13.53 M MACs") == shown.count("41.85 M MACs") == shown.count("254.18 M MACs") == 8
    assert "89 jobs, 0 done" in shown
    steps = (16 + 4) * 105 * (281_893 // 2 // 64) + 4 * 9 * 105 * (352_366 // 64 + 1 + 281_893 // 64 + 1)
    assert f"{steps:,} steps to do" in shown
    assert len(kinds) == 3 + 2 + 1  # ResNets, supernets of one depth and of all, a network to be found
    assert not (tmp_path / "study").exists()


@pytest.fixture
def two_second_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compactnas.studies.planning.measure_steps", lambda shapes: [STEP] * len(shapes))


@pytest.mark.usefixtures("two_second_steps")
def test_a_plan_counts_the_steps_that_are_made(whole: tuple[StudyConfig, Path]) -> None:
    study, root = whole

    class Counting(Silent):
        def __init__(self) -> None:
            self.steps = 0

        def step(self, metrics: dict[str, float]) -> None:
            self.steps += 1

    planned = {one.job.name: one for one in plan(study, root).jobs}
    jobs = {job.name: job for job in expand(study)}
    for name in ("search S, seed 1", "train resnet8 on official, seed 0"):
        listener, data = Counting(), open_dataset(jobs[name].config.data)
        run_job(jobs[name], root / "again", listener, data)
        assert listener.steps == planned[name].steps
        tests = len(data.parts["test"]) / 3 if name.startswith("train") else 0  # a forward pass is a third of a step
        validations = len(data.parts["validation"]) / 3 if name.startswith("train") else 0
        assert planned[name].seconds == pytest.approx(2 * (listener.steps + (tests + validations) / 16))
        assert planned[name].memory_gib == pytest.approx(1.5 + 96 * BANDS * SIDE * SIDE * 4 / 2**30)


@pytest.mark.usefixtures("two_second_steps")
def test_a_plan_counts_the_candidates_that_a_search_measures_at_its_end(tmp_path: Path) -> None:
    methods = {"one path": {"strategy": "uniform", "candidates": 30}, "GDAS": {"strategy": "gdas"}}
    study = read_study(write_study(tmp_path, methods=methods, random_search=False))
    planned = {one.job.name: one for one in plan(study, tmp_path / "study").jobs}
    half = len(open_dataset(study.data_of(study.search_split)).parts["train"]) // 2
    chosen, learnt = planned["search one path, seed 0"], planned["search GDAS, seed 0"]
    assert learnt.seconds == pytest.approx(2 * learnt.steps)
    assert chosen.seconds == pytest.approx(2 * (chosen.steps + 30 * (half // 16) / 3))


def test_a_random_search_is_planned_to_take_as_long_as_its_searches_and_the_memory_of_a_training(
    whole: tuple[StudyConfig, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def steps(shapes: list[Shape]) -> list[Step]:
        return [replace(STEP, memory_gib=9.0 if shape.spec is None else 1.5) for shape in shapes]  # a search has none

    monkeypatch.setattr("compactnas.studies.planning.measure_steps", steps)
    planned = plan(*whole).jobs
    one = next(one for one in planned if one.job.kind == "random_search")
    needs = [other for other in planned if other.job in one.job.needs]
    assert len(needs) == 2 and one.seconds == sum(need.seconds for need in needs)
    assert one.memory_gib < 2 < min(need.memory_gib for need in needs)


def test_a_step_is_measured(whole: tuple[StudyConfig, Path]) -> None:
    config = replace(whole[0].machine)
    search = Shape(RunConfig(space=whole[0].space, search=whole[0].search, machine=config), None, BANDS, CLASSES, SIDE)
    spec = ModelSpec("resnet8", BANDS, CLASSES, SIDE, None)
    for shape in (search, Shape(RunConfig(train=whole[0].train, machine=config), spec, BANDS, CLASSES, SIDE)):
        step = measure_step(shape)
        assert 0 < step.seconds < 60 and 0 < step.memory_gib < 16


def test_the_control_is_judged_on_the_halves_of_the_searches(tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path, search=SMALL["search"] | {"halves": "groups"}))
    assert {job.config.search.halves for job in expand(study) if job.kind in ("search", "random_search")} == {"groups"}


def test_a_plan_needs_no_probabilities_of_teachers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Shape] = []

    def steps(shapes: list[Shape]) -> list[Step]:
        seen.extend(shapes)
        return [STEP] * len(shapes)

    monkeypatch.setattr("compactnas.studies.planning.measure_steps", steps)
    study = read_study(write_study(tmp_path, train=SMALL["train"] | {"teachers": [str(tmp_path / "taught")]}))
    plan(study, tmp_path / "study")
    assert seen and not any(shape.config.train.teachers for shape in seen)


def test_searches_that_never_saw_their_second_half_are_not_compared(tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path, methods=["S"], search=SMALL["search"] | {"warmup": 1, "max_steps": 1}))
    searches = [job for job in expand(study) if job.kind == "search"]
    for job in searches:
        run_job(job, tmp_path / "study", Silent(), open_dataset(job.config.data))
    with pytest.raises(UserError, match=r"no accuracy on D_V in its last epoch.*search\.warmup"):
        chosen(tuple(searches), tmp_path / "study")
