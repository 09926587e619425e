"""The benchmark of layouts: networks of one cost, results that can be continued, and a table that adds up."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import layouts
import lines
import numpy as np
import pairs
import pytest
from scipy import stats

from compactnas.cost.counter import genotype_cost


def row(layout: str, number: int, oa: float) -> dict[str, Any]:
    about = {"name": f"{layout} {number}", "layout": layout, "number": number, "fold": 3 + number % 3}
    return about | {"oa": oa, "macs": 2e7, "cpu_seconds": 60.0}


def test_networks_cost_8_per_cent_and_their_number_decides_them() -> None:
    for layout in ("paper", "lean"):
        drawn = layouts.draw(layout, 1)
        assert drawn == layouts.draw(layout, 1) != layouts.draw(layout, 2)
        macs = genotype_cost(drawn, layouts.BANDS, layouts.CLASSES, layouts.PX).macs
        assert abs(macs / layouts.target_macs() - 1) <= layouts.TOLERANCE and drawn.layout == layout


def test_the_difference_is_a_paired_t_test() -> None:
    ours, theirs = np.random.default_rng(0).normal(0.9, 0.01, (2, 7))
    b, a = ({n: 100 * oa for n, oa in enumerate(values)} for values in (ours, theirs[:6]))
    found = pairs.difference(b, a)
    exact = stats.ttest_rel(100 * ours[:6], 100 * theirs[:6])
    ends = exact.confidence_interval(0.95)
    assert found is not None and found.t is not None
    assert (found.pairs, found.mean, *found.t) == pytest.approx(
        (6, 100 * (ours[:6] - theirs[:6]).mean(), ends.low, ends.high)
    )
    assert pairs.difference(b, {}) is None and pairs.difference(b, {0: a[0]}) is None


def test_the_table_has_the_best_decile_and_each_difference() -> None:
    values, fold = np.linspace(0.80, 0.99, 20), 0.02 * (np.arange(20) % 3 - 1)  # a fold easier than another
    rows = [row(name, n, oa[n]) for name, oa in (("a", values + fold), ("b", 0.9 + fold)) for n in range(20)]
    text = layouts.table(rows)
    values = values + fold
    level = [np.mean([one["oa"] for one in rows if one["fold"] == number]) for number in layouts.FOLDS]
    inside = values - np.array([level[n % 3] for n in range(20)])
    best = 100 * (np.mean(level) + np.sort(inside)[-2:].mean())
    assert f"| a | 20 | {100 * values.mean():.2f} | {100 * values.std(ddof=1):.2f} |" in text
    assert f"| {best:.2f} |" in text and "b minus a | 20 |" in text


def test_results_are_not_overwritten_and_finished_networks_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = argparse.Namespace(out=tmp_path, data=tmp_path, layouts=["a", "b"], networks=2, resume=True)
    measured: list[tuple[str, int]] = []

    def measure(_: object, layout: str, number: int, __: object) -> dict[str, Any]:
        measured.append((layout, number))
        return row(layout, number, 0.5)

    monkeypatch.setattr(layouts, "measure", measure)
    monkeypatch.setattr(layouts, "open_source", lambda _: object())
    monkeypatch.setattr(layouts, "config_of", lambda *_: argparse.Namespace(data=None))
    (tmp_path / layouts.RESULTS).write_text(json.dumps(row("a", 0, 0.5)) + "\n")
    layouts.run(options)
    assert measured == [("b", 0), ("a", 1), ("b", 1)]
    layouts.run(options)
    assert len(measured) == 3 and len(lines.whole_lines(tmp_path / layouts.RESULTS)) == 4
    options.resume = False
    with pytest.raises(SystemExit, match="exists already"):
        layouts.run(options)
