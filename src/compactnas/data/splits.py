"""Split patches into training, validation and test parts: seeded, without overlap."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compactnas.config import OPTIONS_OF_SPLITS, DataConfig, Split
from compactnas.data.footprints import overlaps
from compactnas.data.group_splits import GroupTable, fold_of_groups, take_share
from compactnas.data.part_checks import checked, fitting_block_m, some, without_groups
from compactnas.data.source import Facts, Groups, Indices, Parts
from compactnas.data.split_csv import PARTS, read_split_csv
from compactnas.errors import UserError


class Cut(NamedTuple):
    """Result of a splitter.

    Attributes:
        parts: Rows of each part; `validation` may be missing.
        groups: Group of each patch (for `block` its square), for warnings and intervals, or None.
        together: Groups that the validation part must keep whole; None allows single patches.
    """

    parts: Parts
    groups: Groups | None
    together: Groups | None


Splitter = Callable[[Facts, DataConfig, np.random.Generator], Cut]


class Division(NamedTuple):
    """Patches divided into parts.

    Attributes:
        parts: Rows of each part in ascending order.
        warnings: Warnings to show with every result.
        groups: Group of each patch: its polygon, city or area, for `block` its square; None if unknown.
    """

    parts: Parts
    warnings: tuple[str, ...]
    groups: Groups | None


def make_parts(facts: Facts, config: DataConfig) -> tuple[Parts, tuple[str, ...]]:
    """Return the rows of each part in ascending order, and warnings to show with every result, as `divide` does."""
    return divide(facts, config)[:2]


def divide(facts: Facts, config: DataConfig) -> Division:
    """Divide the patches into parts.

    The validation part is empty unless the source or the CSV has one or `validation_fraction` asks
    for one. It follows the rule of the test part: whole groups for `group` and `fold` (and for
    `official` and `csv` if groups are known), whole blocks for `block`, otherwise random patches.

    Raises:
        UserError: The source lacks what the split needs, or a part is empty or has only one class.
    """
    _require_fitting_options(config)
    rng = np.random.default_rng(np.random.SeedSequence(config.split_seed))
    found, groups, together = SPLITTERS[config.split](facts, config, rng)
    parts = _with_validation(facts, config, found, together, rng)
    own = len(found.get("validation", ()))
    notes: list[str] = []
    if config.validation_fraction and own:
        notes = [f"data.validation_fraction has no effect: {facts.name} has a validation part of {own} patches"]
    nothing = np.arange(0)
    parts = {part: np.sort(parts.get(part, nothing)) for part in PARTS}
    if config.split == "block":
        parts, notes = _without_overlaps(facts, parts)
    if config.train_patches:
        parts["train"] = draw_by_class(parts["train"], facts.labels, config.train_patches, config.split_seed)
    assert len(np.unique(np.concatenate(list(parts.values())))) == sum(map(len, parts.values())), "parts overlap"
    return Division(parts, (*notes, *checked(facts, parts, groups, config)), groups)


def training_parts(facts: Facts, config: DataConfig) -> Parts:
    """Take all patches as the training part, less a validation part of `validation_fraction` of them.

    It keeps whole groups, if groups are known. The test part is empty.
    """
    rng = np.random.default_rng(np.random.SeedSequence(config.split_seed))
    everything: Parts = {"train": np.arange(len(facts.labels))}
    parts = _with_validation(facts, config, everything, facts.groups, rng)
    return {part: np.sort(parts.get(part, np.arange(0))) for part in PARTS}


def _require_fitting_options(config: DataConfig) -> None:
    if config.split_seed < 0:
        raise UserError(f"data.split_seed: {config.split_seed} is negative; give 0 or more")
    for key in config.split_options_without_effect():
        splits = " or ".join(f"`split: {split}`" for split in OPTIONS_OF_SPLITS[key])
        if key == "test_fraction" and config.test_groups:
            raise UserError(
                "data.test_fraction: has no effect, because data.test_groups names the test part; leave out one of them"
            )
        raise UserError(
            f"data.{key}: applies to {splits}, not to `split: {config.split}`; leave it out, or change the split"
        )


def _with_validation(
    facts: Facts, config: DataConfig, parts: Parts, together: Groups | None, rng: np.random.Generator
) -> Parts:
    """Take a validation part out of the training part, if the config asks for one and the split made none."""
    fraction, rows = config.validation_fraction, parts["train"]
    if not fraction or len(parts.get("validation", ())):
        return parts
    if together is None:
        validation, train = cut(rows, fraction, rng)
    else:
        validation, train = _cut_groups(facts, config, rows, fraction, together)
    return {**parts, "validation": validation, "train": train}


def cut(rows: Indices, fraction: float, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Draw about this share of the rows; return it and the rest."""
    if len(rows) < 2:
        raise UserError(f"data.split: {len(rows)} patches cannot be cut into two parts; give more patches")
    count = min(max(round(fraction * len(rows)), 1), len(rows) - 1)
    order = rng.permutation(rows)
    return order[:count], order[count:]


def _cut_groups(
    facts: Facts, config: DataConfig, rows: Indices, fraction: float, groups: Groups
) -> tuple[Indices, Indices]:
    """Draw whole groups with about this share of the rows of each class; return them and the rest."""
    table = GroupTable.count(groups[rows], facts.labels[rows], config.split_seed)
    if len(table.names) < 2:
        raise UserError(_one_group(facts, config, table.names))
    taken = take_share(table, fraction)
    return rows[taken], rows[~taken]


def _one_group(facts: Facts, config: DataConfig, names: tuple[str, ...]) -> str:
    """Explain that fewer than two groups cannot be split, and what to do."""
    if config.split == "block" and facts.footprints is not None:
        return (
            f"data.block_m: one square of {config.block_m:g} m holds all patches; give a smaller one, such as "
            f"`--data.block-m {fitting_block_m(facts.footprints):g}`"
        )
    held = f"one group, {names[0]}," if names else "an empty part"
    return f"data.split: {held} cannot be cut into two parts; use {without_groups(facts)}"


def draw_by_class(rows: Indices, labels: NDArray[np.int64], most: int, seed: int) -> Indices:
    """Draw at most this many rows, with the same share of each class; return them in ascending order.

    The shares are rounded by the largest remainder, and a class that has a row keeps at least one.

    Raises:
        UserError: There are more classes than rows to draw.
    """
    if most >= len(rows):
        return rows
    kinds, counts = np.unique(labels[rows], return_counts=True)
    if most < len(kinds):
        raise UserError(
            f"data.train_patches: {most} patches cannot hold the {len(kinds)} classes of the training part; give more"
        )
    shares = most * counts / len(rows)
    taken = np.maximum(np.floor(shares).astype(np.int64), 1)
    while (left := most - int(taken.sum())) != 0:
        gap = np.where((taken < counts) if left > 0 else (taken > 1), (shares - taken) * np.sign(left), -np.inf)
        taken[int(gap.argmax())] += np.sign(left)
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    drawn = [rng.permutation(rows[labels[rows] == kind])[:n] for kind, n in zip(kinds, taken, strict=True)]
    return np.sort(np.concatenate(drawn))


def halves(indices: Indices, seed: int) -> tuple[Indices, Indices]:
    """Cut rows at random into D_T and D_V of the search (paper, section 4); an odd patch goes to D_T."""
    order = np.random.default_rng(np.random.SeedSequence(seed)).permutation(indices)
    middle = (len(indices) + 1) // 2
    return np.sort(order[:middle]), np.sort(order[middle:])


def _official(facts: Facts, config: DataConfig, _: np.random.Generator) -> Cut:
    return Cut(_official_parts(facts, config.split), facts.groups, facts.groups)


def _official_parts(facts: Facts, split: str) -> Parts:
    if not {"train", "test"} <= facts.parts.keys():
        others = "random, csv or group" if facts.groups is not None else "random or csv"
        raise UserError(f"data.split: {facts.name} has no official parts for `{split}`; use {others}")
    return dict(facts.parts)


def _d2(facts: Facts, config: DataConfig, rng: np.random.Generator) -> Cut:
    """Cut the official training part at random (paper, section 4)."""
    test, train = cut(_official_parts(facts, "d2")["train"], config.test_fraction, rng)
    return Cut({"train": train, "test": test}, facts.groups, None)


def _random(facts: Facts, config: DataConfig, rng: np.random.Generator) -> Cut:
    test, train = cut(np.arange(len(facts.labels)), config.test_fraction, rng)
    return Cut({"train": train, "test": test}, facts.groups, None)


def _csv(facts: Facts, config: DataConfig, _: np.random.Generator) -> Cut:
    parts, groups = read_split_csv(Path(config.split_csv), facts)
    groups = facts.groups if groups is None else groups
    return Cut(parts, groups, groups)


def _block(facts: Facts, config: DataConfig, _: np.random.Generator) -> Cut:
    squares = blocks(facts, config.block_m)
    test, train = _cut_groups(facts, config, np.arange(len(facts.labels)), config.test_fraction, squares)
    return Cut({"train": train, "test": test}, squares, squares)


def _group(facts: Facts, config: DataConfig, _: np.random.Generator) -> Cut:
    everything = np.arange(len(facts.labels))
    if facts.groups is None:
        raise UserError(
            f"data.split: {facts.name} has no groups (polygons, cities) to hold out; use {without_groups(facts)}"
        )
    if not config.test_groups:
        test, train = _cut_groups(facts, config, everything, config.test_fraction, facts.groups)
        return Cut({"train": train, "test": test}, facts.groups, facts.groups)
    known = np.unique(facts.groups)
    unknown = [name for name in config.test_groups if name not in known]
    if unknown:
        raise UserError(f"data.test_groups: {facts.name} has no group {', '.join(unknown)}; it has {some(known)}")
    held_out = np.isin(facts.groups, config.test_groups)
    return Cut({"train": everything[~held_out], "test": everything[held_out]}, facts.groups, facts.groups)


def _fold(facts: Facts, config: DataConfig, _: np.random.Generator) -> Cut:
    """Hold out one of K folds of whole groups; 0 folds hold out one group at a time, in the order of their names."""
    if facts.groups is None:
        raise UserError(
            f"data.split: {facts.name} has no groups (polygons, cities) to make folds from; use {without_groups(facts)}"
        )
    table = GroupTable.count(facts.groups, facts.labels, config.split_seed)
    groups = len(table.names)
    folds = config.folds or groups
    if groups < 2:
        raise UserError(_one_group(facts, config, table.names))
    if not 2 <= folds <= groups:
        raise UserError(f"data.folds: {groups} groups cannot make {folds} folds; give 2 to {groups}, or 0")
    if config.fold >= folds:
        raise UserError(f"data.fold: {config.fold} is outside 0 to {folds - 1}; folds count from 0")
    test = (fold_of_groups(table, folds) if config.folds else table.of) == config.fold
    return Cut({"train": np.flatnonzero(~test), "test": np.flatnonzero(test)}, facts.groups, facts.groups)


SPLITTERS: dict[Split, Splitter] = {
    "official": _official,
    "d1": _official,
    "d2": _d2,
    "group": _group,
    "fold": _fold,
    "block": _block,
    "random": _random,
    "csv": _csv,
}
"""Function that makes each split; it draws from the generator and does not change its other arguments."""


def blocks(facts: Facts, side_m: float) -> Groups:
    """Name the square on the ground, `side_m` wide, that holds the centre of each patch."""
    if facts.footprints is None:
        raise UserError(f"data.split: {facts.name} has no coordinates of its patches; use group, csv or random")
    corners = np.floor(facts.footprints.centres / side_m).astype(np.int64)
    squares = np.column_stack((facts.footprints.epsg, corners))
    return np.array([f"{system} {x} {y}" for system, x, y in squares])


def _without_overlaps(facts: Facts, parts: Parts) -> tuple[Parts, list[str]]:
    """Drop training and validation patches that overlap the part that assesses them; return the parts, and notes."""
    assert facts.footprints is not None
    left, notes = dict(parts), []
    for part, held in (("train", "validation"), ("train", "test"), ("validation", "test")):
        across = overlaps(facts.footprints.at(left[part]), facts.footprints.at(left[held])).count > 0
        if across.any():
            notes.append(f"{across.sum()} patches of the {part} part overlap the {held} part and are left out")
            left[part] = left[part][~across]
    return left, notes
