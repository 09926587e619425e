"""`find` on folds: jobs with names of their own, the shares of the guesses, and the table of differences in pairs."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import find_folds
import pytest
from find_folds import CHANCE, FIND, GUESS, RESNETS, Job, jobs, most_macs, table
from lines import add_lines, whole_lines
from support.find_files import TIMED

from compactnas.cost.counter import genotype_cost
from compactnas.finding.planning import TimedPlan


def line(method: str, fold: int, oa: float) -> dict[str, Any]:
    return {"name": f"{method}, fold {fold}", "method": method, "fold": fold, "oa": oa, "macs": 2e7}


def test_every_job_of_a_fold_has_a_name_and_a_folder() -> None:
    every = [job for fold in (1, 2) for job in jobs(fold, find_folds.SHARES)]
    assert len(every) == 2 * (2 * 3 + len(RESNETS))
    assert len({job.name for job in every}) == len({job.folder for job in every}) == len(every)
    assert Job(FIND, 0.08, 3).name == "find 8 %, fold 3" and Job("resnet8", 0.0, 3).folder == "resnet8_fold_3"


@pytest.mark.parametrize("share", find_folds.SHARES)
def test_a_guess_is_within_its_share(share: float) -> None:
    macs = genotype_cost(find_folds.GUESSES[share], find_folds.BANDS, find_folds.CLASSES, find_folds.PX).macs
    assert 0.7 * most_macs(share) < macs <= most_macs(share)


def test_differences_are_in_pairs_of_folds() -> None:
    found = [line(f"{FIND} 8 %", fold, 0.90 + 0.01 * fold) for fold in (1, 2, 3)]
    chance = [line(f"{CHANCE} 8 %", fold, 0.89 + 0.01 * fold) for fold in (2, 3, 4)]
    guess = [line(f"{GUESS} 8 %", 1, 0.5)]
    text = table([*found, *chance, *guess])
    assert "| find 8 % | 3 | 20.0 | 92.00 ± 1.00 | 91.00, 92.00, 93.00 |" in text
    assert "| find 8 % minus random search 8 % | 2 | +1.00 | +1.00 to +1.00 |" in text
    assert "minus guess" not in text, "one fold has no interval"


def test_what_is_done_is_left_out_and_plans_keep_their_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = argparse.Namespace(
        out=tmp_path, folds=[2], shares=[0.04], hours=1.0, processes=1, patches=8, precision="32-true"
    )
    done: list[str] = []

    def work(_: object, job: Job) -> dict[str, Any]:
        done.append(job.name)
        return line(job.label, job.fold, 0.5)

    monkeypatch.setattr(find_folds, "search", work)
    monkeypatch.setattr(find_folds, "train", work)
    monkeypatch.setattr(find_folds, "setting_of", lambda *_: None)
    monkeypatch.setattr(find_folds, "plan_for", lambda *_: TIMED)
    monkeypatch.setattr(find_folds, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    add_lines(tmp_path / find_folds.RESULTS, [line(f"{FIND} 4 %", 2, 0.5), line("resnet20", 2, 0.5)])
    find_folds.run(options)
    assert done == [job.name for job in jobs(2, [0.04]) if job.label not in (f"{FIND} 4 %", "resnet20")]
    assert TimedPlan.read(tmp_path / "plan_find_4.json").plan.epochs == find_folds.EPOCHS != TIMED.plan.epochs
    find_folds.run(options)
    assert len(done) == 5
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / find_folds.RESULTS).write_bytes((tmp_path / find_folds.RESULTS).read_bytes())
    monkeypatch.setattr(find_folds, "plan_for", None)  # a kept file of results has the plans
    kept = argparse.Namespace(**vars(options) | {"out": elsewhere})
    assert find_folds.plan_of(kept, Job(FIND, 0.04, 3)) == TimedPlan.read(tmp_path / "plan_find_4.json")
    assert "| resnet20 | 1 |" in table(whole_lines(elsewhere / find_folds.RESULTS))
    options.hours = 2.0
    with pytest.raises(SystemExit, match=r"plan_find_4\.json: is for 1 h; give --hours 1"):
        find_folds.run(options)
