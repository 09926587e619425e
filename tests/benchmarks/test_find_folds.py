"""`find` on folds: jobs with names of their own, the shares of the guesses, and the table of differences in pairs."""

from __future__ import annotations

from typing import Any

import find_folds
import pytest
from find_folds import CHANCE, FIND, GUESS, RESNETS, Job, jobs, most_macs, table

from compactnas.cost.counter import genotype_cost


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
