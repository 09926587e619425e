"""Figures of a study report: paired tests, standings, the Pareto front, sums, and labels that keep apart."""

from __future__ import annotations

import itertools
import math
import re
import statistics
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fake_study import fake_study, genotype_of, plausible, write_fake_study
from support.pages import Page
from support.study_pages import whole_study

from compactnas import lcz
from compactnas.reporting.figures.bars import Bar, Part, bars
from compactnas.reporting.figures.scatter import Dot, Size, plane
from compactnas.reporting.study.compare import chosen_method, comparisons
from compactnas.reporting.study.figures import built_natural, cells_by_method, summed_confusion
from compactnas.reporting.study.seeds import EXACT_UP_TO, SeedStats, least_p, paired, standings
from compactnas.selection.pareto_front import pareto_front
from compactnas.studies import StudyConfig, expand
from compactnas.studies.reading import study_view


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyConfig, Path, Page]:
    return whole_study(tmp_path_factory)


# Comparisons


def brute_force(differences: list[float]) -> float:
    flips = list(itertools.product((1, -1), repeat=len(differences)))
    found = abs(math.fsum(differences))
    tolerance = 1e-9 * math.fsum(map(abs, differences))
    sums = [abs(math.fsum(s * d for s, d in zip(signs, differences, strict=True))) for signs in flips]
    return sum(value >= found - tolerance for value in sums) / len(flips)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.integers(-1000, 1000).map(lambda n: n / 8), min_size=1, max_size=9))
def test_the_sign_flip_test_is_what_brute_force_counts(differences: list[float]) -> None:
    found = paired(differences)
    assert found.exact and math.isclose(found.p, brute_force(differences))
    assert least_p(len(differences)) <= found.p <= 1 and found.n == len(differences)
    assert math.isclose(found.mean, statistics.fmean(differences), abs_tol=1e-9)


@pytest.mark.parametrize(
    ("differences", "p"), [([1.0, 2.0], 0.5), ([3.0], 1.0), ([1.0, 2.0, 3.0, 4.0], 0.125), ([0.0, 0.0], 1.0)]
)
def test_small_cases_of_the_sign_flip_test(differences: list[float], p: float) -> None:
    assert paired(differences).p == p


def test_many_pairs_are_drawn_and_say_so() -> None:
    found = paired([1.0] * (EXACT_UP_TO + 4))
    assert not found.exact and 0 < found.p < 1e-3
    assert paired([(-1.0) ** n for n in range(EXACT_UP_TO + 4)]).p > 0.5


def test_differences_are_paired_by_seed_and_say_what_n_can_show(whole: tuple[StudyConfig, Path, Page]) -> None:
    study, root, page = whole
    view = study_view(study, root)
    found = comparisons(view, "d1")
    assert found is not None
    assert [m.key for m in found.references][3:] == ["S", "random", "random search"]
    row = next(row for row in found.rows if row.method.key == "S+D")
    pair = row.others[0]
    ours, theirs = ([100 * run.evaluation.measures.oa for run in view.runs(key, "d1")] for key in ("S+D", "resnet8"))
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    assert pair is not None and math.isclose(pair.mean, statistics.fmean(differences)) and pair.n == 2
    assert math.isclose(pair.deviation, statistics.stdev(differences))
    assert "With n = 2 nothing can be significant at 5 %: the smallest p of 2 pairs is 0.5." in page.text


def test_only_the_same_seeds_are_paired(tmp_path: Path) -> None:
    study = fake_study(retrainings=3)
    write_fake_study(study, tmp_path, keep=lambda job: (job.method == "S") != (job.config.seed == 1))
    found = comparisons(study_view(study, tmp_path), "d1")
    assert found is None or all(pair is None or pair.n == 1 for row in found.rows for pair in row.others)


# Figures


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(1, 8).map(float), st.integers(0, 8).map(float)), min_size=1, max_size=10))
def test_the_pareto_front_is_what_nothing_beats(points: list[tuple[float, float]]) -> None:
    front = pareto_front(points)
    costs = [points[index][0] for index in front]
    assert costs == sorted(costs) and front
    for index, (cost, accuracy) in enumerate(points):
        beaten = [(c, a) for c, a in points if c <= cost and a >= accuracy and (c, a) != (cost, accuracy)]
        assert (index in front) == (not beaten)
        assert any(points[i][0] <= cost and points[i][1] >= accuracy for i in front), "the front covers every point"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 5).map(float), min_size=1, max_size=9))
def test_ranks_count_the_better_ones(values: list[float]) -> None:
    assert standings(values) == [1 + sum(other > value for other in values) for value in values]
    assert min(standings(values)) == 1


def test_a_spread_of_equal_values_is_exactly_none() -> None:
    spread = SeedStats.of([0.1] * 3)
    assert (spread.mean, spread.deviation, spread.varies) == (0.1, 0.0, False)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(0.01, 300), st.floats(20, 99), st.floats(0, 3)), min_size=2, max_size=9))
def test_no_label_of_the_plane_stands_on_a_dot_or_a_label(points: list[tuple[float, float, float]]) -> None:
    dots = [
        Dot(f"method {i}", x, y, i % 6, (y - bar, y + bar) if bar else None) for i, (x, y, bar) in enumerate(points)
    ]
    figure = plane(dots, "t", ("MACs (M)", "M MACs"), Size(430.0, 320.0, 300.0), pareto_front([p[:2] for p in points]))
    assert figure is not None
    width, height = (float(v) for v in figure.attrib["viewBox"].split()[2:])
    boxes = []
    for label in figure.iter("text"):
        if label.get("class") == "cn-halo":
            x, y, size = float(label.attrib["x"]), float(label.attrib["y"]), 6.9 * len(label.text or "")
            left = x if label.get("text-anchor") == "start" else x - size
            boxes.append((left, y - 11, left + size, y + 3))
    assert len(boxes) == len(dots)
    for circle in figure.iter("circle"):
        assert 0 <= float(circle.attrib["cx"]) <= width and 0 <= float(circle.attrib["cy"]) <= height
    for a, b in itertools.combinations(boxes, 2):
        assert not (a[0] < b[2] - 1 and b[0] < a[2] - 1 and a[1] < b[3] - 1 and b[1] < a[3] - 1)


def test_bars_are_as_long_as_their_values() -> None:
    assert bars([Bar("a", (), "0")], "x") is None
    figure = bars(
        [Bar("a", (Part("p", 1.0, "c"), Part("q", 3.0, "c")), "4"), Bar("b", (Part("p", 2.0, "c"),), "2")], "x"
    )
    assert figure is not None
    widths = [float(rect.attrib["width"]) for rect in figure.iter("rect")]
    assert widths[1] / widths[0] == pytest.approx(3, abs=0.01) and widths[2] / widths[0] == pytest.approx(2, abs=0.01)


def test_the_confusion_is_summed_and_the_method_chosen_by_its_rule(whole: tuple[StudyConfig, Path, Page]) -> None:
    study, root, page = whole
    view = study_view(study, root)
    chosen = chosen_method(view)
    assert chosen is not None
    method, split = chosen
    assert split == "d1"
    means = {
        m.key: statistics.fmean(run.evaluation.measures.oa for run in view.runs(m.key, "d1"))
        for m in view.methods
        if m.kind == "searched"
    }
    assert means[method.key] == max(means.values())
    counts = summed_confusion(view, method, "d2")
    jobs = [job for job in expand(study) if (job.method, job.split) == (method.key, "d2")]
    assert counts is not None and (counts == sum(plausible(job) for job in jobs)).all()
    assert page.text.index(f"{method.name} on d1") < page.text.index(f"{method.name} on d2")


def test_of_equally_good_methods_the_cheaper_is_chosen(tmp_path: Path) -> None:
    study = fake_study()
    write_fake_study(study, tmp_path, confusion=lambda job: np.eye(17, dtype=np.int64))
    chosen = chosen_method(study_view(study, tmp_path))
    assert chosen is not None and chosen[0].key == "S+C+D"


def test_built_and_natural_are_blocks_of_the_matrix() -> None:
    counts = np.zeros((17, 17), np.int64)
    counts[0, 0], counts[9, 10], counts[16, 16], counts[10, 1] = 30, 10, 15, 5
    found = built_natural(counts, lcz.NAMES)
    assert found is not None
    assert found.built == (75.0, 25.0) and found.natural == (25.0, 75.0) and found.patches == (40, 20)
    assert built_natural(counts, ("a",) * 17) is None
    assert built_natural(np.zeros((17, 17), np.int64), lcz.NAMES) is None


def test_operations_are_counted_over_all_searches(whole: tuple[StudyConfig, Path, Page]) -> None:
    study, root, _ = whole
    cells = {one.name: one for one in cells_by_method(study_view(study, root))}
    assert list(cells) == ["S", "S+C", "S+D", "S+C+D", "random", "random search"]
    searches = [job for job in expand(study) if job.kind == "search" and job.method == "S"]
    names = [name for job in searches for edges in genotype_of(job).nodes for name, _ in edges]
    assert cells["S"].cells == 2 and cells["S"].counts["none"] == names.count("none")
    assert sum(cells["S"].counts.values()) == len(names)
    assert cells["random"].cells == 2, "a seed has the same cell on each split"
    assert cells["random search"].cells == 3


def test_time_is_seconds_by_threads_and_stays_out_of_the_tables(whole: tuple[StudyConfig, Path, Page]) -> None:
    _, _, page = whole
    assert "core-seconds" in page.text and "2 CPU threads a job" in page.text and "may include pauses" in page.text
    # Random search took 99 s on two threads, its candidates together.
    row = re.search(r"random search</th><td>3</td><td>([\d,]+)</td>", page.source)
    assert row is not None and row.group(1) == "198"
