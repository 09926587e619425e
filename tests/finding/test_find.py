"""A whole find: what it may read, what it reports, and the same bytes after kills at many moments."""

from __future__ import annotations

import json
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from support.find_files import CHOICE, PLAN, SAME, TIMED, WORDS, find_config, options_of, write_places
from support.forking import Forked, finish
from support.tiny import Killed, Killer, write_patches

from compactnas.cli import main
from compactnas.config import DataConfig
from compactnas.cost.counter import genotype_cost
from compactnas.data import ArraySource, open_dataset
from compactnas.errors import UserError
from compactnas.finding import pool
from compactnas.finding.config import FindConfig
from compactnas.finding.finals import averaged_share, ranked_finalists
from compactnas.finding.folds import make_folds
from compactnas.finding.planning import plan_for
from compactnas.finding.pool import random_networks
from compactnas.finding.report import report
from compactnas.finding.results import Found
from compactnas.finding.run import run_find
from compactnas.finding.setting import Setting
from compactnas.io.jsonl import read_rows
from compactnas.runs.checkpoints import PATTERN
from compactnas.runs.folder import read_config
from compactnas.search.genotype_choices import GenotypeChoices
from compactnas.search.trials import Choices
from compactnas.training.runtime import Silent


class Counting(Silent):
    """Listener that counts steps, and keeps warnings."""

    def __init__(self) -> None:
        self.steps, self.warnings = 0, list[str]()

    def step(self, metrics: dict[str, float]) -> None:
        self.steps += 1

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_places(tmp_path_factory.mktemp("find") / "places.npz")


@pytest.fixture(scope="module")
def setting(data: Path) -> Setting:
    config = find_config(data)
    return Setting.of(config, CHOICE, open_dataset(config.data))


@pytest.fixture(scope="module")
def whole(setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Found, Counting, list[int]]:
    """An undisturbed find, and the rows of the patches that it read before the test."""
    folder, listener, read = tmp_path_factory.mktemp("whole") / "found", Counting(), list[int]()
    original, watch = ArraySource.batch, pytest.MonkeyPatch()

    def batch(self: ArraySource, indices: Any) -> Any:
        if not (folder / "model.safetensors").exists():
            read.extend(np.asarray(indices).tolist())
        return original(self, indices)

    watch.setattr(ArraySource, "batch", batch)
    found = run_find(setting, TIMED, folder, listener=listener)
    watch.undo()
    return folder, found, listener, read


def test_the_test_part_is_read_only_at_the_end(
    setting: Setting, whole: tuple[Path, Found, Counting, list[int]]
) -> None:
    read = set(whole[3])
    assert read == set(setting.data.parts["train"].tolist())
    assert not read & set(setting.data.parts["test"].tolist())
    assert whole[1].evaluation.n == len(setting.data.parts["test"])


def test_no_network_is_measured_on_places_that_trained_it(setting: Setting) -> None:
    groups = setting.data.groups
    assert groups is not None
    held = []
    for number, fold in enumerate(setting.folds.each):
        train, validation = fold.parts["train"], fold.parts["validation"]
        assert not set(groups[train]) & set(groups[validation])
        assert len(train) + len(validation) == len(setting.data.parts["train"])
        held.append(validation)
        hold_out = setting.held_out(number)
        assert np.array_equal(hold_out.rows, validation) and np.array_equal(hold_out.train, train)
    assert np.array_equal(np.sort(np.concatenate(held)), setting.data.parts["train"])


def test_searches_cut_whole_groups_if_asked(setting: Setting) -> None:
    groups = setting.data.groups
    assert groups is not None
    config = replace(setting.config, search=replace(setting.config.search, halves="groups"))
    weights, alpha = replace(setting, config=config).search_data(0).halves
    assert len(weights) and len(alpha) and not set(groups[weights]) & set(groups[alpha])


def test_what_a_find_leaves_behind(setting: Setting, whole: tuple[Path, Found, Counting, list[int]]) -> None:
    folder, found, _, _ = whole
    pool = read_rows(folder / "find" / "candidates.jsonl", "")
    assert len(pool) <= PLAN.candidates and {row["origin"] for row in pool} >= {"random", "end"}
    assert len({json.dumps(row["genotype"]) for row in pool}) == len(pool)
    assert all(row["macs"] <= 60e3 for row in pool)
    ranking = read_rows(folder / "find" / "ranking.jsonl", "")
    assert len(ranking) == PLAN.searches * len(pool)
    rungs = read_rows(folder / "find" / "halving" / "rungs.jsonl", "")
    alive = [{row["candidate"] for row in rungs if row["rung"] == rung} for rung in (0, 1)]
    assert len(alive[0]) == PLAN.alive[0] and alive[1] < alive[0] and 1 <= len(alive[1]) <= PLAN.alive[1]
    assert len(rungs) == PLAN.folds * sum(map(len, alive))
    for row in rungs:
        counts = np.array(list(row["groups"].values()))
        assert row["accuracy"] == pytest.approx(counts[:, 1].sum() / counts[:, 0].sum(), abs=1e-6)
    config = read_config(folder)
    assert len(config.train.teachers) == PLAN.teachers and config.train.epochs == PLAN.epochs
    assert all((Path(teacher) / "model.safetensors").exists() for teacher in config.train.teachers)
    assert config.train.average_last == averaged_share(found.rows, found.winner) > 0
    winner = found.candidates[ranked_finalists(found.rows)[0]].genotype
    assert (folder / "genotype.json").read_text() == winner.to_json()
    macs = genotype_cost(winner, bands=4, classes=3, patch_px=8).macs
    assert found.evaluation.macs == macs <= 60e3


def test_checkpoints_of_candidates_that_are_out_are_removed(whole: tuple[Path, Found, Counting, list[int]]) -> None:
    halving = whole[0] / "find" / "halving"
    assert list(halving.glob("*/*/train/metrics.jsonl")) and not list(halving.rglob(PATTERN))


def test_the_report_is_honest_about_chance(whole: tuple[Path, Found, Counting, list[int]]) -> None:
    _, found, _, _ = whole
    worth = found.worth()
    assert worth.keys() == {"searches", "ranking", "halving", "averaging", "ensemble"}
    assert worth["averaging"] is not None and worth["averaging"].groups == 8
    text = "\n".join(report(found))
    assert "Test part, read once" in text and "against chance" in text
    control = found.entered("control")[0]
    assert found.candidates[control].origin == "random" and f"r{control}!" in text
    last = [row["candidate"] for row in found.to_json()["rungs"]["rung 2"]]
    assert control in last


def test_a_find_that_is_killed_at_ten_moments_ends_with_the_same_bytes(
    setting: Setting,
    whole: tuple[Path, Found, Counting, list[int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kill loses at most an epoch, so that each call with a few more steps than that gets on."""
    monkeypatch.setattr("compactnas.finding.ranking.SAVE_EVERY", 3)
    moments, cut, stages = random.Random(3), tmp_path / "cut", list[int]()
    other = replace(TIMED, plan=replace(PLAN, epochs=9))
    for call in range(100):
        try:
            run_find(setting, other if call else TIMED, cut, resume=True, listener=Killer(moments.randint(4, 7)))
            break
        except Killed:
            stages.append(sum((cut / name).exists() for name in SAME))
    assert len(stages) >= 10 and len(set(stages)) >= 4, stages  # kills in many stages; the plan on disk counts
    (cut / "model.json").unlink()  # as after a kill between the weights and this file
    run_find(setting, other, cut, resume=True, listener=Counting())
    for name in SAME:
        assert same(cut / name, whole[0] / name), name


def same(one: Path, other: Path) -> bool:
    """Compare two files; the folder of the teachers is in no file of the list."""
    return one.read_bytes() == other.read_bytes()


def test_killed_with_9_from_the_command_line(
    setting: Setting, whole: tuple[Path, Found, Counting, list[int]], tmp_path: Path
) -> None:
    plan, config, cut = tmp_path / "plan.json", tmp_path / "config.yaml", tmp_path / "cut"
    TIMED.write(plan)
    config.write_text(yaml.safe_dump(options_of(setting.config)))
    words = ["-m", "compactnas", "find", "--config", config, "--folds", "2", "--plan-from", plan, "-o", cut]
    for name in ("find/searches/0/search/metrics.jsonl", "find/halving/rungs.jsonl"):
        process = Forked([*words, "--resume"])
        while process.poll() is None and not (cut / name).exists():
            time.sleep(0.002)
        process.kill()
        assert process.wait() == -9
        assert "2 searches of 2 epochs" in process.communicate()[1]
    done = finish(["-m", "compactnas", "find", "--resume", "-o", cut])
    assert "2 searches of 2 epochs" in done.stderr and "Test part, read once" in done.stdout
    for name in SAME:
        assert same(cut / name, whole[0] / name), name


def test_without_searches_everything_is_random(setting: Setting, tmp_path: Path) -> None:
    choice = replace(CHOICE, searches=0)
    chance = replace(setting, choice=choice)
    timed = replace(TIMED, plan=replace(PLAN, searches=0, search_epochs=0, candidates=4, teachers=0, rungs=(1,)))
    found = run_find(chance, timed, tmp_path / "chance")
    assert {candidate.origin for candidate in found.candidates} == {"random"}
    assert found.worth()["searches"] is None and found.searched_against_random() is None
    assert not (tmp_path / "chance" / "find" / "ranking.jsonl").exists()


def test_the_plan_of_this_machine_fits(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """The measured speed of a tiny network: the plan is the same twice only if it is stored, but always fits."""
    monkeypatch.setattr("compactnas.finding.speed.MOST_TIMED_S", 0.5)  # enough for a tiny network
    timed = plan_for(replace(setting, choice=replace(CHOICE, hours=30.0)), time.perf_counter())
    assert 0 < timed.total <= 3600 * 30
    assert timed.speed.search_step > 0 and timed.speed.train_step > 0 and timed.speed.forward > 0


def test_random_networks_use_the_budget_if_the_space_has_such(setting: Setting) -> None:
    budgets = setting.budgets
    drawn = random_networks(setting, np.random.default_rng(0))
    costs = [budgets[0].cost_of(setting.config.space, next(drawn)) for _ in range(5)]
    assert all(0.95 * 60e3 <= cost <= 60e3 for cost in costs)


def test_networks_that_were_drawn_stay_if_there_are_no_more(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = iter([True, False, False, *[False] * 99])
    monkeypatch.setattr(pool, "TRIES", 2)
    choices = GenotypeChoices.choices

    def few(self: GenotypeChoices, *given: Any) -> Choices:
        return replace(choices(self, *given), admits=lambda row: next(tries))

    monkeypatch.setattr(GenotypeChoices, "choices", few)
    assert len(list(random_networks(setting, np.random.default_rng(0)))) == 1
    with pytest.raises(UserError, match="none of 2 random networks is within it"):
        next(random_networks(setting, np.random.default_rng(0)))


def test_an_exponential_average_takes_the_place_of_the_dense_one(setting: Setting, tmp_path: Path) -> None:
    train = replace(setting.config.train, average_last=0.0, ema_decay=0.9)
    folder = tmp_path / "found"
    run_find(Setting.of(replace(setting.config, train=train), CHOICE, setting.data), TIMED, folder)
    assert all("averaged_from" not in row for row in read_rows(folder / "find/halving/rungs.jsonl", ""))
    assert (folder / "model.safetensors").exists()
    (line,) = [line for line in (folder / "find/report.txt").read_text().splitlines() if "averaged weights" in line]
    assert line.endswith("not compared")


# Refusals


def refused(data: Path, out: Path, said: str, *more: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["find", "--data.path", str(data), *WORDS.split(), "-o", str(out), *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith("compactnas: error: ") and len(error.splitlines()) == 1, error
    assert said in error and not out.exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--max-macs", "1k"), "is too small: the smallest network"),
        (
            ("--max-macs", "26k", "--search.skip-limit-edges", "0"),
            "is within 0.026 M MACs and 0 edges of skip_connect, avg_pool_3x3, max_pool_3x3; the smallest within the "
            "limit of edges needs 0.040 M MACs; raise the budget or --search.skip-limit-edges",
        ),
        (("--max-macs", "0"), "find needs a budget; give --max-macs 20M"),
        (("--hours", "0.00001"), "is too short: the smallest plan takes"),
        (("--folds", "1"), "folds: 1 is outside 2 to 100"),
        (("--searches", "3"), "searches: 3 is outside 0 to 2"),
        (("--plan-from", "nowhere.json"), "nowhere.json"),
    ],
)
def test_what_cannot_be_found_is_refused_in_one_line(
    data: Path, tmp_path: Path, more: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused(data, tmp_path / "out", said, *more, capsys=capsys)


def test_patches_without_groups_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write_patches(tmp_path / "patches.npz")
    refused(file, tmp_path / "out", "its groups (cities, polygons) are unknown", capsys=capsys)


def test_one_group_is_refused_and_few_groups_make_fewer_folds(data: Path) -> None:
    opened = open_dataset(DataConfig(path=str(data)))
    assert opened.groups is not None
    one = replace(opened, groups=np.full(len(opened.groups), "here"))
    with pytest.raises(UserError, match="all 64 training patches are of one group"):
        make_folds(one, 3, 0)
    folds = make_folds(opened, 50, 0)
    assert len(folds.each) == 8 and "8 folds instead of 50" in folds.notes[0]


def test_a_validation_part_joins_only_if_its_places_are_not_tested(data: Path) -> None:
    opened = open_dataset(DataConfig(path=str(data)))
    test = opened.parts["test"]
    shared = replace(opened, parts=opened.parts | {"validation": test[::2], "test": test[1::2]})
    assert "left out: 4 of its groups" in make_folds(shared, 2, 0).notes[0]
    apart = replace(opened, parts=opened.parts | {"validation": test[:16], "test": test[16:]})
    assert len(make_folds(apart, 2, 0).whole.parts["train"]) == 64 + 16


def test_a_folder_with_something_else_is_left_alone(
    data: Path, whole: tuple[Path, Found, Counting, list[int]], setting: Setting, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="already has a find; continue it with --resume"):
        run_find(setting, TIMED, whole[0])
    with pytest.raises(UserError, match=r"find.json: differs from the given options in random_share"):
        run_find(replace(setting, choice=replace(CHOICE, random_share=0.3)), TIMED, whole[0], resume=True)
    other = replace(setting, config=replace(setting.config, seed=1))
    with pytest.raises(UserError, match="differs from the given config in seed"):
        run_find(other, TIMED, whole[0], resume=True)


def test_wrong_options() -> None:
    for options, said in (({"hours": 0.0}, "hours: 0 is"), ({"random_share": 0.0}, "random_share: 0 is")):
        with pytest.raises(UserError, match=said):
            FindConfig(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("ranking.jsonl", '{"fold": 0}\n', "not the ranking of a find"),
        ("halving/rungs.jsonl", '{"rung": "first"}\n', "not the rungs of a find"),
        ("halving/ensemble.json", "[]", "not the ensemble of a find"),
        ("seconds.json", "[]", "not the seconds of a find"),
    ],
)
def test_a_damaged_table_is_one_line(
    setting: Setting,
    whole: tuple[Path, Found, Counting, list[int]],
    tmp_path: Path,
    name: str,
    content: str,
    said: str,
) -> None:
    shutil.copytree(whole[0], tmp_path / "found")
    (tmp_path / "found" / "find" / name).write_text(content)
    with pytest.raises(UserError, match=rf"{name}: {said} .*; remove"):
        run_find(setting, TIMED, tmp_path / "found", resume=True)
