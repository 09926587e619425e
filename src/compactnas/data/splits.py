"""Split patches into training, validation and test parts: seeded, without overlap."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compactnas.config import DataConfig, Split
from compactnas.data.footprints import overlaps
from compactnas.data.source import Facts, Groups, Indices, Parts
from compactnas.data.split_csv import PARTS, read_split_csv
from compactnas.errors import UserError

MAY_MEMORISE = "test accuracy may include memorised locations"
"""End of each warning that the test part shares locations with the training part."""


class Cut(NamedTuple):
    """Result of a splitter.

    Attributes:
        parts: Rows of each part; `validation` may be missing.
        groups: Group of each patch, for warnings, or None.
        together: Groups that the validation part must keep whole; None allows single patches.
    """

    parts: Parts
    groups: Groups | None
    together: Groups | None


Splitter = Callable[[Facts, DataConfig, np.random.Generator], Cut]


def make_parts(facts: Facts, config: DataConfig) -> tuple[Parts, tuple[str, ...]]:
    """Return the rows of each part in ascending order, and warnings to show with every result.

    The validation part is empty unless the source or the CSV has one or `validation_fraction` asks
    for one. It follows the rule of the test part: whole groups for `group` and `fold` (and for
    `official` and `csv` if groups are known), whole blocks for `block`, otherwise random patches.

    Raises:
        UserError: The source lacks what the split needs, or a part is empty or has only one class.
    """
    _require_fitting_options(config)
    rng = np.random.default_rng(np.random.SeedSequence(config.split_seed))
    found, groups, together = SPLITTERS[config.split](facts, config, rng)
    parts = _with_validation(found, config.validation_fraction, together, rng)
    nothing = np.arange(0)
    parts = {part: np.sort(parts.get(part, nothing)) for part in PARTS}
    parts, notes = _without_overlaps(facts, parts) if config.split == "block" else (parts, [])
    assert len(np.unique(np.concatenate(list(parts.values())))) == sum(map(len, parts.values())), "parts overlap"
    return parts, (*notes, *_checked(facts, parts, groups, config.split))


def _require_fitting_options(config: DataConfig) -> None:
    if config.split_seed < 0:
        raise UserError(f"data.split_seed: {config.split_seed} is negative; give 0 or more")
    for key, split in (("test_groups", "group"), ("split_csv", "csv"), ("fold", "fold")):
        if getattr(config, key) and config.split != split:
            raise UserError(
                f"data.{key}: applies to `split: {split}`, not to `split: {config.split}`; leave it out, or change the "
                "split"
            )


def _with_validation(parts: Parts, fraction: float, together: Groups | None, rng: np.random.Generator) -> Parts:
    """Take a validation part out of the training part, if the config asks for one and the split made none."""
    if not fraction or len(parts.get("validation", ())):
        return parts
    validation, train = cut(parts["train"], fraction, together, rng)
    return {**parts, "validation": validation, "train": train}


def cut(rows: Indices, fraction: float, groups: Groups | None, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """Draw about this share of the rows; return it and the rest. Groups, if given, stay whole."""
    if groups is None:
        if len(rows) < 2:
            raise UserError(f"data.split: {len(rows)} patches cannot be cut into two parts; give more patches")
        count = min(max(round(fraction * len(rows)), 1), len(rows) - 1)
        order = rng.permutation(rows)
        return order[:count], order[count:]
    names, sizes = np.unique(groups[rows], return_counts=True)
    if len(names) < 2:
        raise UserError(f"data.split: one group, {', '.join(names)}, cannot be cut into two parts; use `split: random`")
    order = rng.permutation(len(names))
    shares = np.cumsum(sizes[order])[:-1] / len(rows)
    count = int(np.argmin(np.abs(shares - fraction))) + 1
    taken = np.isin(groups[rows], names[order[:count]])
    return rows[taken], rows[~taken]


def halves(indices: Indices, seed: int) -> tuple[Indices, Indices]:
    """Cut rows into D_T and D_V of the search (paper, section 4): two halves; an odd patch goes to D_T."""
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
    test, train = cut(_official_parts(facts, "d2")["train"], config.test_fraction, None, rng)
    return Cut({"train": train, "test": test}, facts.groups, None)


def _random(facts: Facts, config: DataConfig, rng: np.random.Generator) -> Cut:
    test, train = cut(np.arange(len(facts.labels)), config.test_fraction, None, rng)
    return Cut({"train": train, "test": test}, facts.groups, None)


def _csv(facts: Facts, config: DataConfig, _: np.random.Generator) -> Cut:
    parts, groups = read_split_csv(Path(config.split_csv), facts)
    groups = facts.groups if groups is None else groups
    return Cut(parts, groups, groups)


def _block(facts: Facts, config: DataConfig, rng: np.random.Generator) -> Cut:
    squares = blocks(facts, config.block_m)
    test, train = cut(np.arange(len(facts.labels)), config.test_fraction, squares, rng)
    return Cut({"train": train, "test": test}, squares, squares)


def _group(facts: Facts, config: DataConfig, rng: np.random.Generator) -> Cut:
    everything = np.arange(len(facts.labels))
    if facts.groups is None:
        raise UserError(f"data.split: {facts.name} has no groups (cities) to hold out; use official, random or csv")
    if not config.test_groups:
        test, train = cut(everything, config.test_fraction, facts.groups, rng)
        return Cut({"train": train, "test": test}, facts.groups, facts.groups)
    known = np.unique(facts.groups)
    unknown = [name for name in config.test_groups if name not in known]
    if unknown:
        raise UserError(f"data.test_groups: {facts.name} has no group {', '.join(unknown)}; it has {_some(known)}")
    held_out = np.isin(facts.groups, config.test_groups)
    return Cut({"train": everything[~held_out], "test": everything[held_out]}, facts.groups, facts.groups)


def _fold(facts: Facts, config: DataConfig, rng: np.random.Generator) -> Cut:
    """Hold out one of K folds of whole groups with sizes as even as possible; 0 folds hold out one group at a time."""
    if facts.groups is None:
        raise UserError(f"data.split: {facts.name} has no groups (cities) to make folds from; use block or random")
    names, groups, sizes = np.unique(facts.groups, return_inverse=True, return_counts=True)
    folds = config.folds or len(names)
    if not 2 <= folds <= len(names):
        raise UserError(f"data.folds: {len(names)} groups cannot make {folds} folds; give 2 to {len(names)}, or 0")
    if config.fold >= folds:
        raise UserError(f"data.fold: {config.fold} is outside 0 to {folds - 1}; folds count from 0")
    fold_of, filled = np.arange(len(names)), np.zeros(folds, np.int64)
    if config.folds:
        order = rng.permutation(len(names))
        for group in order[np.argsort(-sizes[order], kind="stable")]:  # the largest first, into the emptiest fold
            fold_of[group] = filled.argmin()
            filled[fold_of[group]] += sizes[group]
    test = fold_of[groups.ravel()] == config.fold
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


def _checked(facts: Facts, parts: Parts, groups: Groups | None, split: str) -> tuple[str, ...]:
    """Return warnings about usable parts; raise a UserError for an unusable part."""
    anywhere = np.bincount(facts.labels, minlength=len(facts.classes)) > 0
    warnings = _absent(facts, ~anywhere, facts.name)
    for part, rows in parts.items():
        if part == "validation" and not len(rows):
            continue
        present = np.bincount(facts.labels[rows], minlength=len(facts.classes)) > 0
        if not len(rows):
            raise UserError(f"data.split: the {part} part of `{split}` is empty; choose another split or fraction")
        if present.sum() == 1:
            only = facts.classes[int(present.argmax())]
            raise UserError(
                f"data.split: the {part} part of `{split}` has only one class, {only}; choose another split"
            )
        warnings += _absent(facts, anywhere & ~present, f"the {part} part")
    if groups is not None:
        shared = np.setdiff1d(np.intersect1d(groups[parts["train"]], groups[parts["test"]]), [""])
        if len(shared):
            warnings.append(
                f"the training and the test part share {len(shared)} of {len(np.setdiff1d(groups, ['']))} groups "
                f"({_some(shared)}): {MAY_MEMORISE}; report `split: group` as well"
            )
    if facts.footprints is not None:
        found = overlaps(facts.footprints.at(parts["test"]), facts.footprints.at(parts["train"]))
        if found.count.any():
            warnings.append(
                f"{(found.count > 0).sum()} of {len(found.count)} test patches overlap a training patch, by up to "
                f"{found.share.max():.0%} of their area: {MAY_MEMORISE}; see `compactnas leakage`"
            )
    return tuple(warnings)


def _absent(facts: Facts, absent: NDArray[np.bool_], where: str) -> list[str]:
    names = [name for name, missing in zip(facts.classes, absent, strict=True) if missing]
    # A semicolon, since some names contain commas.
    return [f"{where} has no patch of {len(names)} of {len(absent)} classes: {'; '.join(names)}"] if names else []


def _some(names: Groups) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
