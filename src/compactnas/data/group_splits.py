"""Split whole groups (polygons, cities, squares on the ground) so that each part gets its share of each class.

A group's place in the order is a hash of its name and the seed, not a draw that depends on the other groups. The split
of groups of one class, such as polygons, does not depend on the other classes. If one of them drops out, only a few of
its own class change their part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from compactnas.data.source import Groups, Indices

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class GroupTable:
    """Number of patches of each group and class.

    Attributes:
        names: Name of each group.
        of: Number of the group of each row.
        pairs: Group, class and number of patches, sorted by group, (pairs, 3).
        seed: Random seed of the order.
    """

    names: tuple[str, ...]
    of: Indices
    pairs: Counts
    seed: int

    @classmethod
    def count(cls, groups: Groups, labels: NDArray[np.int64], seed: int) -> GroupTable:
        """Count the patches of each group and class, from the group and class of each row."""
        names, of = np.unique(groups, return_inverse=True)
        classes = int(labels.max(initial=0)) + 1
        keys, patches = np.unique(of.ravel() * classes + labels, return_counts=True)
        pairs = np.column_stack((keys // classes, keys % classes, patches)).astype(np.int64)
        return cls(tuple(map(str, names)), of.ravel(), pairs, seed)

    @cached_property
    def members(self) -> list[tuple[Indices, Counts]]:
        """Classes of each group, and its patches of each of them."""
        starts = np.searchsorted(self.pairs[:, 0], np.arange(1, len(self.names)))
        return [(own[:, 1], own[:, 2]) for own in np.split(self.pairs, starts)]

    @cached_property
    def totals(self) -> Counts:
        """Number of patches of each class."""
        return np.bincount(self.pairs[:, 1], self.pairs[:, 2]).astype(np.int64)

    @cached_property
    def sizes(self) -> Counts:
        """Number of patches of each group."""
        return np.bincount(self.pairs[:, 0], self.pairs[:, 2]).astype(np.int64)

    @cached_property
    def order(self) -> list[int]:
        """Groups in the order of their hashes."""
        return sorted(range(len(self.names)), key=lambda group: (hash_of(self.seed, self.names[group]), group))

    @cached_property
    def holders(self) -> dict[int, list[int]]:
        """Groups that have each class, in the order of their hashes."""
        found: dict[int, list[int]] = {}
        for group in self.order:
            for label in self.members[group][0].tolist():
                found.setdefault(label, []).append(group)
        return found


def hash_of(seed: int, *words: object) -> int:
    """Hash words to 64 bits that look random; the same on every machine."""
    text = "/".join(map(str, (seed, *words)))
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def take_share(table: GroupTable, fraction: float) -> NDArray[np.bool_]:
    """Choose whole groups with about this share of the patches of each class; return a mask of the rows.

    Groups are taken in the order of their hashes if they bring the counts of the classes closer to the wanted share,
    in the chi-squared distance. Then groups move until each class with two or more groups is on both sides, if
    possible. At least one group is taken, and one is left.
    """
    wanted = fraction * table.totals
    held, taken = np.zeros(len(wanted)), np.zeros(len(table.names), bool)

    def change(group: int) -> float:
        """Change of the distance if the group moves to the other side."""
        label, patches = table.members[group]
        step = -patches if taken[group] else patches
        return float(((2 * (held[label] - wanted[label]) + step) * step / wanted[label]).sum())

    def move(group: int) -> None:
        label, patches = table.members[group]
        held[label] += -patches if taken[group] else patches
        taken[group] = not taken[group]

    for group in table.order:
        if change(group) < 0:
            move(group)
    for label in sorted(table.holders, key=lambda label: (len(table.holders[label]), label)):
        sides = taken[table.holders[label]]
        if len(sides) > 1 and sides.all() == sides.any():
            movable = [group for group in table.holders[label] if _may_move(table, taken, group)]
            if movable:
                move(min(movable, key=change))
    if taken.all() == taken.any():
        move(min(table.order, key=change))
    return taken[table.of]


def _may_move(table: GroupTable, taken: NDArray[np.bool_], group: int) -> bool:
    """Check that each class of a group keeps a group on the side that this one leaves, if it has several groups."""
    others = (table.holders[label] for label in table.members[group][0].tolist())
    return all(len(held) < 2 or (taken[held] == taken[group]).sum() > 1 for held in others)


def fold_of_groups(table: GroupTable, folds: int) -> Indices:
    """Spread whole groups over folds with about the same number of patches of each class; return each row's fold.

    Groups of one class follow each other in the order of their hashes, and the folds are stretches of that order. A
    class with as many groups as folds is in every fold; a class with two groups or more is never in one fold only.
    Groups of several classes (cities) are placed by size, each in the fold that has the fewest patches of its classes
    and the fewest patches in total.
    """
    found, alone = np.zeros(len(table.names), np.int64), np.array([len(label) == 1 for label, _ in table.members])
    for label, holders in table.holders.items():
        own = [group for group in holders if alone[group]]
        if own:
            first = label + hash_of(table.seed, "first fold") % folds
            found[own] = (_stretches(table.sizes[own], folds) + first) % folds
    filled = np.zeros((folds, len(table.totals)))
    for single in np.flatnonzero(alone).tolist():
        labels, patches = table.members[single]
        filled[found[single], labels] += patches
    mixed = [group for group in table.order if not alone[group]]
    for group in sorted(mixed, key=lambda group: -table.sizes[group]):
        labels, patches = table.members[group]
        need = filled[:, labels] @ (patches / table.totals[labels])
        need += filled.sum(1) * (table.sizes[group] / len(table.of))
        ties = [hash_of(table.seed, table.names[group], fold) for fold in range(folds)]
        found[group] = min(range(folds), key=lambda fold: (need[fold], filled[fold].sum(), ties[fold]))
        filled[found[group], labels] += patches
    return found[table.of]


def _stretches(sizes: Sequence[int] | Counts, folds: int) -> Indices:
    """Cut a row of groups into stretches of about the same size; return the stretch of each group.

    Each stretch has a group if there are enough groups; otherwise no stretch has two.
    """
    groups, ends = len(sizes), np.cumsum(sizes)
    least, most = (1, groups) if groups >= folds else (0, 1)
    middles = (ends - np.asarray(sizes) / 2) * folds
    stops = [0]
    for number in range(1, folds + 1):
        stop, left = int(np.searchsorted(middles, number * ends[-1])), folds - number
        low = max(stops[-1] + least, groups - left * most)
        stops.append(min(max(stop, low), stops[-1] + most, groups - left * least))
    return np.repeat(np.arange(folds), np.diff(stops))
