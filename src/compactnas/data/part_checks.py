"""Check the parts of a split: errors for parts that cannot be used, and warnings to show with every result."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compactnas.config import DataConfig
from compactnas.data.footprints import Footprints, overlaps
from compactnas.data.source import Facts, Groups, Parts
from compactnas.errors import UserError

MAY_MEMORISE = "test accuracy may include memorised locations"
"""Start of the conclusion of each warning that the test part shares locations with the training part."""
BLOCKS_ACROSS = 5
"""Number of squares across the ground that messages propose for the split `block`."""
FAR_OFF = 0.5
"""Relative difference between the wanted and the actual share of the test part from which a warning tells it."""


def checked(facts: Facts, parts: Parts, groups: Groups | None, config: DataConfig) -> tuple[str, ...]:
    """Return warnings about usable parts; raise a `UserError` for an unusable part."""
    anywhere = np.bincount(facts.labels, minlength=len(facts.classes)) > 0
    warnings = _absent(facts, ~anywhere, facts.name)
    for part, rows in parts.items():
        if part == "validation" and not len(rows):
            continue
        present = np.bincount(facts.labels[rows], minlength=len(facts.classes)) > 0
        _require_classes(facts, part, present, config)
        warnings += _absent(facts, anywhere & ~present, f"the {part} part", groups if whole_groups(config) else None)
    if groups is not None:
        warnings += _shared(parts, groups)
    if whole_groups(config) and config.split != "fold" and not config.test_groups:
        warnings += _far_off(parts, config)
    if facts.footprints is not None:
        warnings += _overlapping(facts.footprints, parts, config)
    return tuple(warnings)


def whole_groups(config: DataConfig) -> bool:
    """Check whether a split keeps groups whole by itself."""
    return config.split in ("group", "fold")


def without_groups(facts: Facts) -> str:
    """Name the splits that need no groups."""
    return "`--data.split block` or `random`" if facts.footprints is not None else "`--data.split random`"


def fitting_block_m(places: Footprints) -> float:
    """Compute the side of a square that fits several times into the ground covered by the patches, two digits."""
    own = places.bounds[places.epsg == places.epsg[0]]
    widths, patch = own[:, 2:].max(0) - own[:, :2].min(0), float((own[0, 2:] - own[0, :2]).max())
    side = max(float(widths.max()) / BLOCKS_ACROSS, patch)
    digits = 10.0 ** (np.floor(np.log10(side)) - 1)
    return float(np.ceil(side / digits - 1e-9) * digits)


def _require_classes(facts: Facts, part: str, present: NDArray[np.bool_], config: DataConfig) -> None:
    if not present.any():
        other = "fewer folds" if config.split == "fold" else "another split or fraction"
        raise UserError(f"data.split: the {part} part of `{config.split}` is empty; choose {other}")
    if present.sum() == 1:
        only = facts.classes[int(present.argmax())]
        other = f"use {without_groups(facts)}" if whole_groups(config) else "choose another split"
        raise UserError(f"data.split: the {part} part of `{config.split}` has only one class, {only}; {other}")


def _absent(facts: Facts, absent: NDArray[np.bool_], where: str, groups: Groups | None = None) -> list[str]:
    names = [name for name, missing in zip(facts.classes, absent, strict=True) if missing]
    if not names:
        return []
    # A semicolon, since some names contain commas.
    text = f"{where} has no patch of {len(names)} of {len(absent)} classes: {'; '.join(names)}"
    if groups is not None and all(len(np.unique(groups[facts.labels == c])) == 1 for c in np.flatnonzero(absent)):
        text += " (one group, which cannot be in two parts)" if len(names) == 1 else " (one group each)"
    return [text]


def _shared(parts: Parts, groups: Groups) -> list[str]:
    shared = np.setdiff1d(np.intersect1d(groups[parts["train"]], groups[parts["test"]]), [""])
    if not len(shared):
        return []
    return [
        f"the training and the test part share {len(shared)} of {len(np.setdiff1d(groups, ['']))} groups "
        f"({some(shared)}): {MAY_MEMORISE}; report `split: group` as well"
    ]


def _far_off(parts: Parts, config: DataConfig) -> list[str]:
    test, wanted = len(parts["test"]), config.test_fraction
    share = test / sum(map(len, parts.values()))
    if abs(share - wanted) <= FAR_OFF * wanted:
        return []
    return [
        f"the test part has {share:.0%} of the patches instead of {wanted:.0%}: groups stay whole, and each class with "
        "two groups or more has one there"
    ]


def _overlapping(places: Footprints, parts: Parts, config: DataConfig) -> list[str]:
    found = overlaps(places.at(parts["test"]), places.at(parts["train"]))
    if not found.count.any():
        return []
    return [
        f"{(found.count > 0).sum()} of {len(found.count)} test patches overlap a training patch, by up to "
        f"{found.share.max():.0%} of their area: {MAY_MEMORISE}; {blocks_words(places, config)}, and "
        "`compactnas leakage` lists them"
    ]


def blocks_words(places: Footprints, config: DataConfig) -> str:
    """Name the split that keeps overlapping patches apart, with smaller squares if the usual ones do not fit."""
    side = fitting_block_m(places)
    smaller = f" --data.block-m {side:g}" if side < config.block_m else ""
    return f"`--data.split block{smaller}` keeps them apart"


def some(names: Groups) -> str:
    """List the first names."""
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
