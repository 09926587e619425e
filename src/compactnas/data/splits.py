"""How patches are cut into training, validation and test parts: seeded, never overlapping."""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from numpy.typing import NDArray

from compactnas.config import DataConfig
from compactnas.data.footprints import overlaps
from compactnas.data.source import Facts, Groups, Indices
from compactnas.errors import UserError

Parts = dict[str, Indices]

PARTS = ("train", "validation", "test")
WORDS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""What files call the parts, and what we call them."""


REMEMBERS = "the test measures remembering too"
"""How a warning says that the test part shares places with the training part."""


def make_parts(facts: Facts, config: DataConfig) -> tuple[Parts, tuple[str, ...]]:
    """Rows of each part, ascending, and warnings that a reader of the results must see.

    The validation part is empty unless the source or the CSV has one or
    `validation_fraction` asks for one. Its rule is that of the test part: whole groups for
    `group` and `fold`, and for `official` and `csv` where groups are known, whole blocks for
    `block`; else single patches at random.

    Errors:
        UserError: the source has not what the split needs, or a part is empty or of one class.
    """
    if config.split_seed < 0:
        raise UserError(f"data.split_seed: {config.split_seed} is negative; give 0 or more")
    for key, split in (("test_groups", "group"), ("split_csv", "csv"), ("fold", "fold")):
        if getattr(config, key) and config.split != split:
            raise UserError(f"data.{key}: is for `split: {split}`, not for `{config.split}`; leave it out or change it")
    rng = np.random.default_rng(np.random.SeedSequence(config.split_seed))
    everything = np.arange(len(facts.labels))
    groups, whole_groups = facts.groups, True
    if config.split in ("official", "d1"):
        parts = _official(facts, config.split)
    elif config.split == "csv":
        parts, csv_groups = read_split_csv(Path(config.split_csv), facts)
        groups = groups if csv_groups is None else csv_groups
    elif config.split == "group":
        parts = _by_group(facts, config, rng)
    elif config.split == "fold":
        parts = _fold(facts, config, rng)
    elif config.split == "block":
        groups = blocks(facts, config.block_m)
        test, train = cut(everything, config.test_fraction, groups, rng)
        parts = {"train": train, "test": test}
    else:
        rows = _official(facts, "d2")["train"] if config.split == "d2" else everything
        test, train = cut(rows, config.test_fraction, None, rng)
        parts, whole_groups = {"train": train, "test": test}, False
    if config.validation_fraction and not len(parts.get("validation", ())):
        by = groups if whole_groups else None
        parts["validation"], parts["train"] = cut(parts["train"], config.validation_fraction, by, rng)
    parts = {part: np.sort(parts.get(part, everything[:0])) for part in PARTS}
    left_out = _keep_apart(facts, parts) if config.split == "block" else []
    assert len(np.unique(np.concatenate(list(parts.values())))) == sum(map(len, parts.values())), "parts overlap"
    return parts, (*left_out, *_checked(facts, parts, groups, config.split))


def cut(rows: Indices, fraction: float, groups: Groups | None, rng: np.random.Generator) -> tuple[Indices, Indices]:
    """About this share of the rows, drawn, and the rest; whole groups where groups are given."""
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
    """D_T and D_V of the search (paper, section 4): two disjoint halves; an odd patch goes to D_T."""
    order = np.random.default_rng(np.random.SeedSequence(seed)).permutation(indices)
    middle = (len(indices) + 1) // 2
    return np.sort(order[:middle]), np.sort(order[middle:])


def _official(facts: Facts, split: str) -> Parts:
    if not {"train", "test"} <= facts.parts.keys():
        others = "random, csv or group" if facts.groups is not None else "random or csv"
        raise UserError(f"data.split: {facts.name} has no official parts for `{split}`; use {others}")
    return dict(facts.parts)


def _by_group(facts: Facts, config: DataConfig, rng: np.random.Generator) -> Parts:
    everything = np.arange(len(facts.labels))
    if facts.groups is None:
        raise UserError(f"data.split: {facts.name} has no groups (cities) to hold out; use official, random or csv")
    if not config.test_groups:
        test, train = cut(everything, config.test_fraction, facts.groups, rng)
        return {"train": train, "test": test}
    known = np.unique(facts.groups)
    unknown = [name for name in config.test_groups if name not in known]
    if unknown:
        raise UserError(f"data.test_groups: {facts.name} has no group {', '.join(unknown)}; it has {_some(known)}")
    held_out = np.isin(facts.groups, config.test_groups)
    return {"train": everything[~held_out], "test": everything[held_out]}


def _fold(facts: Facts, config: DataConfig, rng: np.random.Generator) -> Parts:
    """One of K folds of whole groups, of sizes as even as the groups allow; 0 folds leaves out one group at a time."""
    if facts.groups is None:
        raise UserError(f"data.split: {facts.name} has no groups (cities) to make folds of; use block or random")
    names, groups, sizes = np.unique(facts.groups, return_inverse=True, return_counts=True)
    folds = config.folds or len(names)
    if not 2 <= folds <= len(names):
        raise UserError(f"data.folds: {folds} of {len(names)} groups cannot be made; give 2 to {len(names)}, or 0")
    if config.fold >= folds:
        raise UserError(f"data.fold: {config.fold} is outside 0 to {folds - 1}; they count from 0")
    fold_of, filled = np.arange(len(names)), np.zeros(folds, np.int64)
    if config.folds:
        order = rng.permutation(len(names))
        for group in order[np.argsort(-sizes[order], kind="stable")]:  # the largest first, into the emptiest fold
            fold_of[group] = filled.argmin()
            filled[fold_of[group]] += sizes[group]
    test = fold_of[groups.ravel()] == config.fold
    return {"train": np.flatnonzero(~test), "test": np.flatnonzero(test)}


def blocks(facts: Facts, side_m: float) -> Groups:
    """Name of the square of the ground, `side_m` wide, that the middle of each patch lies in."""
    if facts.footprints is None:
        raise UserError(f"data.split: {facts.name} does not say where its patches lie; use group, csv or random")
    corners = np.floor(facts.footprints.centres / side_m).astype(np.int64)
    squares = np.column_stack((facts.footprints.epsg, corners))
    return np.array([f"{system} {x} {y}" for system, x, y in squares])


def _keep_apart(facts: Facts, parts: Parts) -> list[str]:
    """Leave out patches that reach over a border into the part that is tested or chosen by."""
    assert facts.footprints is not None
    left_out = []
    for part, held in (("train", "validation"), ("train", "test"), ("validation", "test")):
        across = overlaps(facts.footprints.at(parts[part]), facts.footprints.at(parts[held])).count > 0
        if across.any():
            left_out.append(f"{across.sum()} patches of the {part} part overlap the {held} part and are left out")
            parts[part] = parts[part][~across]
    return left_out


def read_split_csv(path: Path, facts: Facts) -> tuple[Parts, Groups | None]:
    """Parts from a file with columns path,split[,group]; patches that it does not list are left out.

    A path is a patch's key; where several patches share a key, they go together.
    """
    if facts.keys is None:
        raise UserError(f"data.split_csv: the patches of {facts.name} have no names to look up; use another split")
    rows_of: dict[str, list[int]] = {}
    for row, key in enumerate(facts.keys):
        rows_of.setdefault(str(key), []).append(row)
    parts: dict[str, list[int]] = {part: [] for part in PARTS}
    names = [""] * len(facts.labels)
    seen: set[str] = set()
    records = _records(path)
    for line, record in records:
        key, part = _listed(f"{path}, line {line}", record, seen, rows_of)
        parts[part] += rows_of[key]
        for row in rows_of[key]:
            names[row] = record.get("group") or ""
    groups = np.array(names) if records and "group" in records[0][1] else None
    return {part: np.array(rows, np.int64) for part, rows in parts.items()}, groups


def _records(path: Path) -> list[tuple[int, dict[str, str | None]]]:
    """Line number and columns of each row of a split file."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            absent = {"path", "split"} - set(reader.fieldnames or ())
            if absent:
                raise UserError(f"{path}: has no column {', '.join(sorted(absent))}; its first line must be path,split")
            return [(reader.line_num, record) for record in reader]
    except OSError as error:
        raise UserError(f"data.split_csv: {path} cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"data.split_csv: {path} is not a CSV file in UTF-8 ({error})") from error


def _listed(
    where: str, record: dict[str, str | None], seen: set[str], rows_of: dict[str, list[int]]
) -> tuple[str, str]:
    """Key and part of one row of a split file."""
    key, word = record["path"] or "", (record["split"] or "").strip().lower()
    windows = PureWindowsPath(key)
    if windows.is_absolute() or windows.root or ".." in windows.parts:
        raise UserError(f"{where}: {key} leaves the folder; give paths inside it")
    key = str(PurePosixPath(*windows.parts))
    if word not in WORDS:
        raise UserError(f"{where}: split {word!r} is none of train, validation, test")
    if key not in rows_of:
        raise UserError(f"{where}: {key} is not among the patches; give paths as they are inside data.path")
    if key in seen:
        raise UserError(f"{where}: {key} is listed twice; list each path once")
    seen.add(key)
    return key, WORDS[word]


def _checked(facts: Facts, parts: Parts, groups: Groups | None, split: str) -> tuple[str, ...]:
    """Warnings about parts that can be used; an error for those that cannot."""
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
            raise UserError(f"data.split: the {part} part of `{split}` holds one class, {only}; choose another split")
        warnings += _absent(facts, anywhere & ~present, f"the {part} part")
    if groups is not None:
        shared = np.setdiff1d(np.intersect1d(groups[parts["train"]], groups[parts["test"]]), [""])
        if len(shared):
            warnings.append(
                f"the training and the test part share {len(shared)} of {len(np.setdiff1d(groups, ['']))} groups "
                f"({_some(shared)}): {REMEMBERS}; show `split: group` beside it"
            )
    if facts.footprints is not None:
        found = overlaps(facts.footprints.at(parts["test"]), facts.footprints.at(parts["train"]))
        if found.count.any():
            warnings.append(
                f"{(found.count > 0).sum()} of {len(found.count)} test patches overlap a training patch, by up to "
                f"{found.share.max():.0%} of their area: {REMEMBERS}; see `compactnas leakage`"
            )
    return tuple(warnings)


def _absent(facts: Facts, absent: NDArray[np.bool_], where: str) -> list[str]:
    names = [name for name, missing in zip(facts.classes, absent, strict=True) if missing]
    # Some names hold commas.
    return [f"{where} has no patch of {len(names)} of {len(absent)} classes: {'; '.join(names)}"] if names else []


def _some(names: Groups) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
