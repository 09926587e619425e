"""The candidates: networks within the budget, from the searches and at random."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from compactnas.cost.constraints import USED
from compactnas.data.batches import drawing
from compactnas.data.streams import Stream
from compactnas.errors import UserError
from compactnas.finding.plan import Plan
from compactnas.finding.setting import Setting
from compactnas.io.jsonl import Row, read_rows, write_rows
from compactnas.search.genotype_choices import GenotypeChoices
from compactnas.selection.candidates import Candidate, make_candidates
from compactnas.selection.searches import FinishedSearch
from compactnas.space.genotype import Genotype

AGAIN = "remove the folder and find again"
RANDOM = "random"

TRIES, REPEATS = 20_000, 4
"""Draws in a row without a network within the budget after which none is expected, and draws for each different one."""


def random_networks(setting: Setting, rng: np.random.Generator) -> Iterator[Genotype]:
    """Draw networks uniformly from those that use 95 % of a budget, or from all within it if these are too rare.

    Raises:
        UserError: None of many networks is within the budgets.
    """
    found = False
    genotypes = GenotypeChoices(setting.config.space, setting.architecture().fixed_depths)
    for used in (USED, 0.0):
        choices, misses = genotypes.choices(setting.budgets, used), 0
        while misses < TRIES:
            row = choices.draw(rng)
            if choices.admits(row):
                yield genotypes.genotype(row)
                found, misses = True, 0
            else:
                misses += 1
        if found:
            return
    raise UserError(f"budget: none of {TRIES} random networks is within it; raise the limit")


def make_pool(setting: Setting, plan: Plan, searches: Sequence[FinishedSearch], file: Path) -> list[Candidate]:
    """Collect the candidates: first the random ones, then those of the searches, each network once.

    Args:
        setting: Space and budgets.
        plan: Numbers of candidates.
        searches: Finished searches; without any, all candidates are random.
        file: Table that keeps the candidates.

    Raises:
        UserError: The table holds something else.
    """
    if file.exists():
        return [_read(row, file) for row in read_rows(file, AGAIN)]
    wanted = plan.candidates
    if searches:
        wanted = max(plan.controls, round(setting.choice.random_share * plan.candidates))
    found: dict[Genotype, Candidate] = {}
    drawn = random_networks(setting, drawing(setting.config.seed, Stream.POOL))
    for genotype in islice(drawn, REPEATS * wanted):
        found.setdefault(genotype, Candidate(genotype, "", RANDOM))
        if len(found) == wanted:
            break
    if searches:
        left = max(2, plan.candidates - len(found))
        for candidate in make_candidates(searches, left, setting.config.seed, setting.budgets):
            name = candidate.search and f"searches/{Path(candidate.search).name}"
            found.setdefault(candidate.genotype, Candidate(candidate.genotype, name, candidate.origin))
    candidates = list(found.values())
    write_rows(file, [_row(setting, number, candidate) for number, candidate in enumerate(candidates)])
    return candidates


def _row(setting: Setting, number: int, candidate: Candidate) -> Row:
    costs = {name: table.total(setting.config.space, candidate.genotype) for name, table in setting.tables.items()}
    return {"candidate": number, **costs, **candidate.to_json()}


def _read(row: Row, file: Path) -> Candidate:
    try:
        genotype = Genotype.from_values(row["genotype"], str(file))
        return Candidate(genotype, str(row["search"]), str(row["origin"]))
    except (KeyError, TypeError) as error:
        raise UserError(f"{file}: not the candidates of a find ({error}); {AGAIN}") from None
