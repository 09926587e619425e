"""Collect the networks found: for each method the trained one, and the others that it was selected from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from compactnas.reporting.figures.backbone import backbone_figure
from compactnas.reporting.figures.cell import cell_figure
from compactnas.reporting.html import markup
from compactnas.reporting.study.view import Method, SearchView, StudyView
from compactnas.space.genotype import Genotype

THUMBNAILS = 8
"""Largest number of small cells; a random search may have hundreds of candidates."""


@dataclass(frozen=True)
class Small:
    """A cell that is shown small: its name, facts such as the accuracy on D_V, its figure, and a badge if selected."""

    name: str
    facts: str
    cell: str
    badge: str = ""


@dataclass(frozen=True)
class Found:
    """Networks that a method found.

    Attributes:
        name: Name of the method.
        facts: Facts about the trained network, as (name, value).
        cell: Figure of its cell; empty for random cells, because there are several.
        backbone: Figure of its macro network.
        others: Heading of the small cells.
        small: Cells of all searches, or the random cells.
    """

    name: str
    facts: tuple[tuple[str, str], ...]
    cell: str
    backbone: str
    others: str
    small: tuple[Small, ...]


def networks_of(view: StudyView) -> list[Found]:
    """Collect the networks of each method that has cells, in the order of the columns."""
    found = []
    for method in view.methods:
        searches = view.searches_of(method.key)
        if searches:
            found.append(_searched(view, method, searches))
        elif method.kind == "random" and (drawn := _drawn(view, method)):
            found.append(Found(method.name, (), "", "", "one cell for each seed of the training", drawn))
    return found


def _searched(view: StudyView, method: Method, searches: Sequence[SearchView]) -> Found:
    taken = next((search for search in searches if search.selected), None)
    best = sorted(searches, key=lambda one: -one.accuracy if math.isfinite(one.accuracy) else math.inf)[:THUMBNAILS]
    small = sorted(best, key=lambda one: (one.split, one.seed)) if len(searches) <= THUMBNAILS else best
    what = "search" if method.kind == "searched" else "candidate"
    trained = "trained" if what == "search" and view.selection == "each" else "selected"
    others = f"{len(searches)} searches, by accuracy on D_V" if what == "search" else f"{len(searches)} candidates"
    if len(searches) > THUMBNAILS:
        others += f"; the best {THUMBNAILS}"
    return Found(
        name=method.name,
        facts=_facts(view, method, taken, len(searches), what, trained) if taken else (),
        cell=markup(cell_figure(taken.genotype)) if taken else "",
        backbone=markup(backbone_figure(taken.genotype, *(view.sizes or (None, None, None)))) if taken else "",
        others=others if len(searches) > 1 else "",
        small=tuple(_small(one, what, trained if one.selected else "") for one in small) if len(searches) > 1 else (),
    )


def _facts(
    view: StudyView, method: Method, taken: SearchView, searches: int, what: str, trained: str
) -> tuple[tuple[str, str], ...]:
    """List cost, depth and selection of the trained network."""
    evaluation = next((run.evaluation for run in view.trainings if run.method == method.key), None)
    facts = []
    if evaluation is not None:
        facts += [("parameters", f"{evaluation.parameters / 1e6:.4f} M"), ("MACs", f"{evaluation.macs / 1e6:.2f} M")]
    elif taken.macs is not None:
        facts.append(("MACs", f"{taken.macs / 1e6:.2f} M"))
    facts.append(("depth", _depth(taken.genotype)))
    if math.isfinite(taken.accuracy):
        facts.append(("on D_V", f"{100 * taken.accuracy:.2f} %"))
    chosen = _name(taken, what)
    unfinished = any(job.search and job.method == method.key for job in view.missing)
    if trained == "trained":
        facts.append(("trained first", f"{chosen}, of {searches}"))
    else:
        facts.append(("selected so far" if unfinished else "selected", f"{chosen}, of {searches}"))
    return tuple(facts)


def _small(search: SearchView, what: str, badge: str) -> Small:
    facts = [f"{100 * search.accuracy:.2f} %" if math.isfinite(search.accuracy) else "not measured"]
    if search.macs is not None:
        facts.append(f"{search.macs / 1e6:.2f} M MACs")
    facts.append(f"depth {_depth(search.genotype)}")
    return Small(_name(search, what), " · ".join(facts), markup(cell_figure(search.genotype)), badge)


def _name(search: SearchView, what: str) -> str:
    """Name of a search or candidate, with its fold if there are folds."""
    number = f"seed {search.seed}" if what == "search" else f"candidate {search.seed + 1}"
    return f"{search.split}, {number}" if search.split else number


def _drawn(view: StudyView, method: Method) -> tuple[Small, ...]:
    """List the random cells, each once, because a seed draws the same cell on each split."""
    found: dict[str, Small] = {}
    for run in view.trainings:
        if run.method == method.key and run.genotype is not None:
            facts = f"{run.evaluation.macs / 1e6:.2f} M MACs · depth {_depth(run.genotype)}"
            cell = Small(f"seed {run.seed}", facts, markup(cell_figure(run.genotype)))
            found.setdefault(run.genotype.to_json(), cell)
    return tuple(sorted(found.values(), key=lambda one: one.name)[:THUMBNAILS])


def _depth(genotype: Genotype) -> str:
    return "-".join(map(str, genotype.depths))
