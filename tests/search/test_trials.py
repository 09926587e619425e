"""Random search and evolution over rows of choices, on tables whose answers are known."""

from __future__ import annotations

from itertools import product
from math import comb
from pathlib import Path

import nasbench201
import numpy as np
import pytest
from nasbench201 import CHOOSERS, Table, expected, parse_cell, regrets

from compactnas.search.trials import Choices, Chooser, Row, evolution, random_search, regularized_evolution

EACH = pytest.mark.parametrize("choose", CHOOSERS.values(), ids=CHOOSERS)


def counted(choices: Choices, choose: Chooser, evaluations: int, seed: int = 0) -> tuple[list[Row], list[Row]]:
    """What a chooser gave, and what it asked for, where a row is worth its sum."""
    asked: list[Row] = []
    trials = choose(
        choices,
        lambda row: asked.append(row) or float(sum(row)),
        evaluations,
        np.random.default_rng(seed),  # type: ignore[func-returns-value]
    )
    assert all(trial.value == sum(trial.row) for trial in trials)
    return [trial.row for trial in trials], asked


@EACH
def test_so_many_candidates_of_the_space_and_the_same_for_a_seed(choose: Chooser) -> None:
    choices = Choices((5, 1, 3, 2, 4, 4), lambda row: row[0] != 2)
    rows, asked = counted(choices, choose, 130)
    assert rows == asked and len(rows) == 130  # each is measured once, in order
    assert all(0 <= value < most for row in rows for value, most in zip(row, choices.options, strict=True))
    assert all(row[0] != 2 for row in rows)
    assert counted(choices, choose, 130) == (rows, asked)
    assert counted(choices, choose, 130, seed=1)[0] != rows


@pytest.mark.parametrize("choose", [random_search, evolution])
def test_nothing_is_measured_twice_and_a_space_can_be_used_up(choose: Chooser) -> None:
    rows, _ = counted(Choices((3, 2, 4)), choose, 100)
    assert sorted(rows) == list(product(range(3), range(2), range(4)))


def test_random_search_finds_what_draws_without_replacement_do() -> None:
    """E[max of k of n ranks without replacement] = k (n + 1) / (k + 1) (order statistics)."""
    n, k, seeds = 60, 7, 3000
    choices = Choices((3, 5, 4))
    ranks = {row: 1.0 + rank for rank, row in enumerate(product(range(3), range(5), range(4)))}
    best = np.array(
        [
            max(trial.value for trial in random_search(choices, lambda row: ranks[row], k, np.random.default_rng(seed)))
            for seed in range(seeds)
        ]
    )
    mean = k * (n + 1) / (k + 1)
    second = sum(m * m * comb(m - 1, k - 1) for m in range(k, n + 1)) / comb(n, k)
    error = (second - mean**2) ** 0.5 / seeds**0.5
    assert abs(best.mean() - mean) < 4 * error
    assert best.var() == pytest.approx(second - mean**2, rel=0.15)


@pytest.mark.parametrize("choose", [evolution, regularized_evolution])
def test_evolution_climbs_where_random_search_does_not(choose: Chooser) -> None:
    choices = Choices((4,) * 12)
    climbed = [max(map(sum, counted(choices, choose, 400, seed)[0])) for seed in range(5)]
    drawn = [max(map(sum, counted(choices, random_search, 400, seed)[0])) for seed in range(5)]
    assert min(climbed) > max(drawn)


def test_a_change_is_of_one_choice_and_a_cross_of_both_parents() -> None:
    choices, rng = Choices((3, 1, 5)), np.random.default_rng(0)
    for _ in range(100):
        row, other = choices.draw(rng), choices.draw(rng)
        assert sum(a != b for a, b in zip(row, choices.change(row, rng), strict=True)) == 1
        assert all(c in pair for c, *pair in zip(choices.cross(row, other, rng), row, other, strict=True))
        assert choices.mutate(row, 0.0, rng) == row
    changed = [choices.mutate((0, 0, 0), 0.5, rng)[2] != 0 for _ in range(4000)]
    assert np.mean(changed) == pytest.approx(0.5 * 4 / 5, abs=0.03)


def test_regrets_of_a_table_that_is_known() -> None:
    """What is searched and what counts disagree on the best: the regret in what counts stays."""
    rows = list(product(range(3), range(3)))
    searched = {row: float(place) for place, row in enumerate(rows)}
    counted_ = searched | {rows[-1]: 5.0}
    both = regrets(Table(Choices((3, 3)), searched, counted_), random_search, 9, 4)
    assert (both[0][:, -1] == 2.0).all() and (both[1][:, -1] == 0.0).all()
    assert (np.diff(both[1], axis=1) <= 0).all() and (both[0] >= 0).all()
    table = Table(Choices((3, 3)), searched, searched)
    for k in range(1, 10):  # 8 less the mean of the largest of k of 0 to 8
        assert expected(table, searched, k) == pytest.approx(9 - k * 10 / (k + 1))


def test_the_cells_of_nasbench201_are_all_of_the_space(shared: Path) -> None:
    table = Table.read(shared / "data" / "nasbench201" / "nasbench201_accuracy.csv.gz")
    assert set(table.searched) == set(product(range(5), repeat=6))
    text = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
    assert parse_cell(text) == (3, 3, 4, 1, 3, 1)
    assert table.counted[parse_cell(text)] == 93.66
    with pytest.raises(ValueError, match="no cell"):
        parse_cell("|nor_conv_3x3~0|")
    regret = {name: regrets(table, choose, 200, 10)[0][:, -1].mean() for name, choose in CHOOSERS.items()}
    assert all(0 <= value < 1 for value in regret.values())
    for values, found in zip((table.counted, table.searched), regrets(table, random_search, 60, 60), strict=True):
        for k in (1, 20, 60):
            error = found[:, k - 1].std(ddof=1) / 60**0.5
            assert abs(found[:, k - 1].mean() - expected(table, values, k)) < 4 * error
    assert nasbench201.summary(np.array([[1.0, 0.0], [3.0, 0.0]]), (1,))[0] == {
        "evaluations": 1, "mean": 2.0, "std": pytest.approx(2**0.5), "q10": 1.2, "q50": 2.0, "q90": 2.8,
    }  # fmt: skip
