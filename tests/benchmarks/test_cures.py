"""The table of the cures: places among random cells, what wins, and jobs that go on where they stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cures
import cures_again
import cures_table
import numpy as np
import pytest
from lines import add_lines, whole_lines

from compactnas.config import SearchConfig, quick
from compactnas.data import ArraySource, Dataset, Facts
from compactnas.search.strategies import STRATEGIES
from compactnas.space.genotype import Genotype


def line(cure: str, seed: int, oa: float, free_learnt: int = 1) -> dict[str, Any]:
    kind = "found" if cure else "random"
    times = {"train_s": 4, "search_s": 12}
    about = {"name": " ".join(filter(None, (kind, cure, str(seed)))), "kind": kind}
    return about | {"cure": cure, "seed": seed, "oa": oa, "free_learnt": free_learnt, "entropy": 1} | times


RANDOM = [line("", number, number / 100) for number in range(40)]


def test_a_perturbation_counts_the_search_that_made_its_supernet() -> None:
    perturbed = line("darts, perturbation", 3, 0.3) | {"perturbation_s": 8}
    del perturbed["search_s"]
    (row,) = cures_table.table([*RANDOM, line("darts", 3, 0.3), perturbed], ["darts, perturbation"])
    assert (row["seconds"], row["even"]) == (20, 5 / 6)


def test_a_place_is_the_share_below_and_equals_count_half() -> None:
    drawn = [0.1, 0.2, 0.2, 0.4]
    assert [cures_table.place(oa, drawn) for oa in (0.0, 0.2, 0.3, 0.5)] == [0, 0.5, 0.75, 1]


@pytest.mark.parametrize(("above", "learnt", "wins"), [(8, 9, True), (7, 10, False), (10, 8, False)])
def test_a_cure_wins_by_what_was_fixed_before(above: int, learnt: int, wins: bool) -> None:
    found = [line("darts", seed, 0.3 if seed < above else 0.1, int(seed < learnt)) for seed in range(10)]
    (row,) = cures_table.table([*RANDOM, *found], ["darts", "snas"])
    assert (row["wins"], row["above"], row["with_learnt"]) == (wins, above, learnt)
    assert row["low"] < row["gain"] < row["high"]
    assert (row["seconds"], row["even"]) == (12, 0.75), "the best of three cells is above three quarters of all"
    (row,) = cures_table.table([*RANDOM, *found[:9]], ["darts"])
    assert not row["wins"], "nine seeds are not ten"


def test_an_interrupted_line_is_replaced_and_a_repeated_one_counts_once(tmp_path: Path) -> None:
    file = tmp_path / "cures.jsonl"
    lines = [line("darts", 0, 0.2), line("darts", 0, 0.3), line("darts", 1, 0.4)]
    add_lines(file, lines)
    file.write_text(file.read_text() + '{"kind": "fo')
    assert whole_lines(file) == lines[1:] and file.read_text().endswith('{"kind": "fo')
    add_lines(file, [line("snas", 0, 0.5)])
    assert whole_lines(file) == [*lines[1:], line("snas", 0, 0.5)]
    assert whole_lines(tmp_path / "absent") == []


def test_a_place_by_several_trainings_is_that_of_the_mean() -> None:
    cells = [*RANDOM, line("darts", 0, 0.105), line("darts", 12, 0.205), line("snas", 0, 0.3)]
    asked = [cell for cell in cells if cell["cure"] != "snas"]
    trained = [
        {"name": name, "cell": cell["name"], "oa": cell["oa"]} for cell, _, name in cures_again.left(asked, 3, {})
    ]
    assert len({one["name"] for one in trained}) == len(trained) == 2 * 42
    for one in trained:
        one["oa"] += 0.15 * one["cell"].startswith("found")
    assert [number for _, number, _ in cures_again.left(asked, 4, {one["name"]: one for one in trained})] == [3] * 42
    found = cures_again.means(cells, trained)
    assert found["darts"] == [(0, pytest.approx(0.205)), (12, pytest.approx(0.305))] and "snas" not in found
    assert "| darts | all | 2 | 25.50 | 65.0 % | 52.5 % | 2/2 |" in cures_again.table(cells, trained)
    assert "| darts | 10 and more | 1 | 30.50 | 77.5 % | 77.5 % | 1/1 |" in cures_again.table(cells, trained)


def test_every_job_has_lines_of_its_own_and_every_cure_can_be_searched() -> None:
    keys = [key for job in cures.jobs(6, list(cures.CURES)) for key in job.keys]
    assert len(set(keys)) == len(keys) == cures.CELLS + 6 * (len(cures.CURES) + len(cures.PERTURBED))
    for cure, changes in cures.CURES.items():
        for setting in cures.SETTINGS.values():
            config: SearchConfig = replace(setting.search, **changes)
            assert "derivation" in STRATEGIES[config.strategy].options or cure not in cures.PERTURBED


def test_learnt_operations_count_where_the_output_hears_them() -> None:
    nodes = ((("sep_conv_3x3", 0),), (("skip_connect", 0),), (("dil_conv_3x3", 0), ("sep_conv_5x5", 2)))
    cell = Genotype(nodes, (1, 1, 1), 8)
    assert not cell.live_nodes[0] and cures.learnt(cell) == 2


def test_the_recipe_quick_is_the_best_cure() -> None:
    setting = cures.SETTINGS["quick"]
    assert replace(setting.search, **cures.CURES["main effects, skip limit"]) == quick().search
    assert setting.space == quick().space


@pytest.mark.parametrize(("name", "cure"), [("small", "darts"), ("quick", "main effects, skip limit")])
def test_a_bench_trains_and_searches_within_the_budget(name: str, cure: str) -> None:
    labels = np.arange(100) % 3
    images = np.random.default_rng(0).random((100, 3, 16, 16), np.float32) + labels[:, None, None, None].astype("f4")
    facts = Facts("made", ("a", "b", "c"), ("x", "y", "z"), 16, labels.astype(np.int64))
    rows = np.arange(100)
    parts = {"train": rows[:80], "validation": rows[80:], "test": rows[:0]}
    setting = cures.SETTINGS[name]
    search = replace(setting.search, epochs=1, batch_size=20, initial_depth=1)
    setting = setting._replace(search=search, train=replace(setting.train, epochs=1, batch_size=40))
    bench = cures.Bench("eurosat", Dataset(ArraySource(facts, images), parts), setting)
    for job in (cures.Job("random", 3), cures.Job("found", 0, cure)):
        lines = bench.run(job)
        assert [(one["kind"], one["cure"], one["seed"]) for one in lines] == job.keys
        for one in lines:
            assert one["macs"] <= setting.macs["eurosat"]
            assert 0 <= one["oa"] <= 1
            assert json.loads(json.dumps(one)) == one
