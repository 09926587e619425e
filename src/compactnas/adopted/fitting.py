"""Fit an adopted network to patches: their bands and classes by name, in any order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compactnas.adopted.network import AdoptedModule, open_adopted
from compactnas.data import Facts
from compactnas.errors import UserError
from compactnas.scenes.bands import sentinel_name


def adopted_for(folder: Path, facts: Facts, threads: int = 0, *, own_classes: bool = False) -> AdoptedModule:
    """Open an adopted network for the patches of a source: it takes their bands and returns their classes.

    Args:
        folder: Folder of the network.
        facts: Facts about the patches. Bands that the network does not take are left out.
        threads: Number of threads of onnxruntime; 0 takes all cores.
        own_classes: Return the network's own classes in its order, whatever those of the patches are.

    Raises:
        UserError: The network cannot be opened, or takes other bands, classes or sizes of patches.
    """
    network = open_adopted(folder, threads)
    task = network.task
    if task.patch_px != facts.patch_px:
        raise UserError(
            f"{facts.name}: has patches of {facts.patch_px} px, but the network takes {task.patch_px} px; use data of "
            "this size"
        )
    bands, band = _places(task.bands, facts.bands)
    if band:
        raise UserError(
            f"{facts.name}: has no band {band!r} (it has {_listed(facts.bands)}), which the network takes; use data "
            "with it, or adopt the network with --bands named as in the data"
        )
    classes, name = _places(task.classes if own_classes else facts.classes, task.classes)
    if name or len(classes) != len(task.classes):
        raise UserError(
            f"{facts.name}: has the classes {_listed(facts.classes)}, but the network {_listed(task.classes)}; use "
            "data with its classes, or adopt the network with --classes named as in the data"
        )
    return AdoptedModule(network, bands, classes)


def _places(wanted: Sequence[str], there: Sequence[str]) -> tuple[list[int], str]:
    """Find the position of each name among those that are there, and the first name that is missing or ambiguous."""
    if not set(wanted) <= set(there):
        wanted, there = [[sentinel_name(name) for name in names] for names in (wanted, there)]
    missing = next((name for name in wanted if there.count(name) != 1), "")
    return ([] if missing else [there.index(name) for name in wanted]), missing


def _listed(names: Sequence[str]) -> str:
    """List the first few names."""
    return ", ".join(name[:40] for name in names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
