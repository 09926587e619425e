"""Collect the networks to compare, each once and with its origin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from compactnas.cost.constraints import Budget, admits
from compactnas.cost.counter import genotype_cost
from compactnas.errors import UserError
from compactnas.runs.task import Task
from compactnas.search.random_genotype import random_like
from compactnas.selection.searches import FinishedSearch
from compactnas.space.genotype import Genotype

TRIES = 500
"""Number of draws in a row without a new network after which a search counts as exhausted."""


@dataclass(frozen=True)
class Candidate:
    """A network that may be chosen.

    Attributes:
        genotype: Genotype of the network.
        search: Folder of the search that it comes from, as the user typed it.
        origin: `end`, `epoch 7`, `measured 12` (its number in `candidates.jsonl`), `sampled`, or `random` for a cell
            that no search found.
    """

    genotype: Genotype
    search: str
    origin: str

    def to_json(self) -> dict[str, Any]:
        """Candidate as JSON values."""
        return {"search": self.search, "origin": self.origin, "genotype": self.genotype.to_values()}


def make_candidates(
    searches: Sequence[FinishedSearch], count: int, seed: int, budgets: Sequence[Budget] = (), random: int = 0
) -> list[Candidate]:
    """Collect `count` different networks, or fewer if the searches have no more.

    The results of the searches come first, then the random cells. Half of the others are networks that a search would
    have derived after one of its epochs, at even distances counted back from the last epoch. If a strategy measured
    networks instead, all of the others are these, best first. The rest is sampled from the alpha at the end of the
    searches, from each search in turn.

    Args:
        searches: Searches of one space.
        count: Number of candidates.
        seed: Random seed of the draws.
        budgets: Budgets of a candidate.
        random: Number of candidates that are random cells with the cost of the first search's network within the
            budgets, within 2 %.

    Raises:
        UserError: There are fewer than two candidates, or too few random cells.
    """
    found: dict[Genotype, Candidate] = {}

    def take(genotype: Genotype, search: FinishedSearch, origin: str) -> bool:
        new = genotype not in found and genotype.is_connected and admits(budgets, search.space, genotype)
        if new and len(found) < count:
            found[genotype] = Candidate(genotype, str(search.folder), origin)
        return new

    for search in searches:
        take(search.found, search, "end")
    if random:
        first = next((one for one, like in found.items() if like.search == str(searches[0].folder)), None)
        for genotype in _random_like(searches[0], first or searches[0].derive(budgets), random, seed, budgets):
            take(genotype, searches[0], "random")
    each = -(-max(count - len(found), 0) // len(searches))
    for search in searches:
        for genotype, origin in _on_the_way(search, each):
            take(genotype, search, origin)
    generator = torch.Generator().manual_seed(seed)
    left = list(searches)
    while len(found) < count and left:
        for search in list(left):
            if not any(take(search.sample(generator, budgets), search, "sampled") for _ in range(TRIES)):
                left.remove(search)
    if len(found) < 2:
        raise UserError(
            f"{searches[0].folder}: a selection needs two networks, but {len(found)} fit the budgets; raise the budgets"
        )
    return list(found.values())


def _random_like(
    search: FinishedSearch, like: Genotype, count: int, seed: int, budgets: Sequence[Budget]
) -> Iterator[Genotype]:
    """Draw different random cells of a search's space that cost as much as a network, within the budgets.

    Raises:
        UserError: There are fewer than `count`.
    """
    task, drawn, generator = Task.read(search.folder), {like}, torch.Generator().manual_seed(seed)
    sizes = {"bands": len(task.bands), "classes": len(task.classes), "patch_px": task.patch_px}
    target, space = genotype_cost(like, **sizes).macs, search.space
    if not search.config.search.search_depth:  # every block has as many cells as the search had
        space = replace(space, min_depth=max(search.built), max_depth=max(search.built))
    for _ in range(TRIES):
        if len(drawn) > count:  # `drawn` also contains the network itself
            return
        genotype = random_like(space, target, generator, **sizes)
        if genotype not in drawn and admits(budgets, space, genotype):
            drawn.add(genotype)
            yield genotype
    raise UserError(
        f"random: only {len(drawn) - 1} of {count} different random cells of {target / 1e6:.2f} M MACs were found in "
        f"{TRIES} draws; give --random {len(drawn) - 1} or fewer"
    )


def _on_the_way(search: FinishedSearch, each: int) -> Iterator[tuple[Genotype, str]]:
    """Yield genotypes that a search derived before its end, few enough to leave room for samples."""
    measured = [(number, genotype) for number, genotype in search.measured() if genotype != search.found]
    for number, genotype in measured[:each]:
        yield genotype, f"measured {number}"
    latest = {genotype: epoch for epoch, genotype in search.after_epochs()}  # last epoch of each network
    latest.pop(search.found, None)
    different = sorted(latest.items(), key=lambda item: -item[1])
    half = min(each // 2, len(different))
    for place in np.linspace(0, len(different) - 1, half).round().astype(int) if half else ():
        genotype, epoch = different[int(place)]
        yield genotype, f"epoch {epoch}"
