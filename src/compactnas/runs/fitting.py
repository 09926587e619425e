"""Require that patches are those that the network of a run takes: bands and classes by name, and their size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compactnas.data import Facts
from compactnas.errors import UserError
from compactnas.nn.registry import ModelSpec
from compactnas.runs.task import FILE, Task
from compactnas.scenes.bands import numbered, of_patches, sentinel_name


def require_fit(folder: Path, facts: Facts, *, labelled: bool = True) -> tuple[str, ...]:
    """Check patches against the network of a run.

    Names that a data format makes up are compared by their number alone: band1, band2, ..., R, G, B, and classes 0, 1,
    ... A short training of a find has no names of its own.

    Args:
        folder: Folder of the run.
        facts: Facts about the patches.
        labelled: Whether the classes of the patches must be those of the network.

    Returns:
        Names of the network's classes.

    Raises:
        UserError: The patches have other bands, classes or another size.
    """
    spec = ModelSpec.read(folder)
    task = Task.read(folder) if (folder / FILE).exists() else Task(facts.bands, facts.classes, spec.patch_px, facts.lcz)
    bands, where = ", ".join(facts.bands), facts.name
    if len(facts.bands) != spec.bands:
        raise UserError(
            f"{where}: {len(facts.bands)} bands ({bands}), but the model takes {spec.bands}; "
            "choose the bands with --data.bands"
        )
    if not _same_bands(facts.bands, task.bands):
        raise UserError(
            f"{where}: has the bands {bands}, but the model takes {', '.join(task.bands)}; name these with --data.bands"
        )
    if facts.patch_px != spec.patch_px:
        raise UserError(
            f"{where}: has patches of {facts.patch_px} px, but the model takes {spec.patch_px} px; use data of this "
            "size"
        )
    if labelled and len(facts.classes) != spec.classes:
        raise UserError(
            f"{where}: {len(facts.classes)} classes, but the model predicts {spec.classes}; use data with its classes"
        )
    if labelled and facts.classes != task.classes and not any(map(_made_up, (facts.classes, task.classes))):
        ours, theirs = next((a, b) for a, b in zip(facts.classes, task.classes, strict=True) if a != b)
        raise UserError(
            f"{where}: has the class {ours[:40]!r} where the model has {theirs[:40]!r}; use data with its classes, in "
            "the same order"
        )
    return task.classes


def _same_bands(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    if any(tuple(names) in (numbered(len(names)), of_patches(len(names))) for names in (ours, theirs)):
        return True
    return list(map(sentinel_name, ours)) == list(map(sentinel_name, theirs))


def _made_up(classes: Sequence[str]) -> bool:
    return list(classes) == [str(number) for number in range(len(classes))]
