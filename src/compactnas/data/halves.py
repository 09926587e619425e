"""D_T and D_V: the two halves of the training part that a search uses (paper, section 4)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from compactnas.data.group_splits import GroupTable, take_share
from compactnas.data.opening import Dataset
from compactnas.data.source import Indices
from compactnas.data.splits import halves
from compactnas.errors import UserError


def cut_halves(data: Dataset, by: Literal["random", "groups"], seed: int) -> tuple[Indices, Indices]:
    """Cut the training part into D_T and D_V.

    With ``groups``, the patches of a group (city, polygon, square on the ground) are all in the same half, so that
    alpha is trained in places that the weights have not seen. Each class is halved as evenly as its groups allow.

    Args:
        data: Patches, with their parts and groups.
        by: Cut single patches at random, or whole groups.
        seed: Seed of the cut.

    Raises:
        UserError: The groups are not known, or the training part has only one.
    """
    rows = data.parts["train"]
    if by == "random":
        return halves(rows, seed)
    advice = "leave the option out, or give search.halves=random"
    if data.groups is None:
        raise UserError(f"search.halves: {data.source.facts.name} has no groups (polygons, cities); {advice}")
    table = GroupTable.count(data.groups[rows], data.source.facts.labels[rows], seed)
    if len(table.names) < 2:
        raise UserError(f"search.halves: all training patches are of one {data.unit}, {table.names[0]}; {advice}")
    taken = take_share(table, 0.5)
    both = rows[~taken], rows[taken]
    lacking = [len(np.unique(data.source.facts.labels[half])) < 2 for half in both]
    if any(lacking):
        raise UserError(f"search.halves: the groups leave one class in one half; {advice}")
    return both
