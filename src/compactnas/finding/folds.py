"""Folds of whole groups: one is held out, the others train."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from compactnas.data import Dataset, Indices
from compactnas.data.footprints import overlaps
from compactnas.data.group_splits import GroupTable, fold_of_groups
from compactnas.errors import UserError


@dataclass(frozen=True)
class Folds:
    """The patches that a find may use, with a data set for each fold.

    Attributes:
        whole: Data set whose training part are all these patches, for the training of the winner.
        each: Data set of each fold: its training part are the other folds, its validation part the fold.
        groups: Number of groups.
        notes: What was left out, one line each.
    """

    whole: Dataset
    each: tuple[Dataset, ...]
    groups: int
    notes: tuple[str, ...]


def make_folds(data: Dataset, folds: int, seed: int) -> Folds:
    """Divide the training part into folds of whole groups. A validation part in other places than the test part joins.

    Args:
        data: Data set; its test part is kept.
        folds: Number of folds; one for each group if there are fewer.
        seed: Seed of the order of groups.

    Raises:
        UserError: The groups of the patches are unknown, or there is only one.
    """
    facts, groups, parts = data.source.facts, data.groups, data.parts
    if groups is None:
        other = "`--data.split block`" if facts.footprints is not None else "data with groups (docs/data.md)"
        raise UserError(
            f"{facts.name}: its groups (cities, polygons) are unknown, and find holds out whole groups; use {other}"
        )
    rows, validation, notes = parts["train"], parts["validation"], []
    if len(validation):
        shared = np.intersect1d(groups[validation], groups[parts["test"]])
        if len(shared):
            notes.append(
                f"{len(validation)} patches of the validation part are left out: {len(shared)} of its groups are in "
                "the test part too"
            )
        else:
            rows = np.sort(np.concatenate([rows, validation]))
    table = GroupTable.count(groups[rows], facts.labels[rows], seed)
    count = len(table.names)
    if count < 2:
        raise UserError(
            f"{facts.name}: all {len(rows)} training patches are of one group, and find holds out whole groups; give "
            "patches of two or more"
        )
    if count < folds:
        notes.append(f"{count} folds instead of {folds}: there are {count} groups")
        folds = count
    fold = fold_of_groups(table, folds) if folds < count else table.of
    nothing = np.arange(0)
    whole = replace(data, parts={"train": rows, "validation": nothing, "test": parts["test"]})
    each = tuple(_fold(data, rows, fold == number) for number in range(folds))
    return Folds(whole, each, count, tuple(notes))


def _fold(data: Dataset, rows: Indices, held: np.ndarray) -> Dataset:
    """Make the data set of a fold. Patches that overlap a held-out one do not train."""
    train, validation, places = rows[~held], rows[held], data.source.facts.footprints
    if data.unit == "block" and places is not None:
        train = train[overlaps(places.at(train), places.at(validation)).count == 0]
    return replace(data, parts={"train": train, "validation": validation, "test": data.parts["test"]})
