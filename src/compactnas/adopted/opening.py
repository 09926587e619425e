"""Open the network of a run, or an adopted one, to measure it and to predict with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from compactnas.adopted.fitting import adopted_for
from compactnas.adopted.manifest import is_adopted
from compactnas.config import MachineConfig
from compactnas.cost.counter import Cost, count
from compactnas.data import Facts
from compactnas.nn.registry import ModelSpec
from compactnas.runs.fitting import require_fit
from compactnas.runs.folder import load, read_config


@dataclass(frozen=True)
class Trained:
    """A trained network for the patches of a source.

    Attributes:
        name: Name of the network.
        network: Network from raw patches to logits.
        classes: Names of the classes, in the order of the logits.
        cost: Cost for one patch.
        depths: Number of cells in each block of a searched network, else None.
    """

    name: str
    network: nn.Module
    classes: tuple[str, ...]
    cost: Cost
    depths: tuple[int, ...] | None = None


def trained_for(folder: Path, facts: Facts, *, labelled: bool = True) -> Trained:
    """Open the network of a run, or an adopted one, for patches.

    Args:
        folder: Folder of the network.
        facts: Facts about the patches.
        labelled: Whether the classes of the patches must be those of the network.

    Raises:
        UserError: There is no network, or it takes other patches.
    """
    if is_adopted(folder):
        module = adopted_for(folder, facts, torch.get_num_threads(), own_classes=not labelled)
        classes = facts.classes if labelled else module.network.task.classes
        return Trained("adopted", module, classes, module.network.cost)
    spec = ModelSpec.read(folder)
    classes = require_fit(folder, facts, labelled=labelled)
    network = load(folder)
    depths = None if spec.genotype is None else spec.genotype.depths
    return Trained(spec.name, network, classes, count(network, spec.bands, facts.patch_px), depths)


def machine_of(folder: Path) -> MachineConfig:
    """Machine of a run with one device; the CPU for an adopted network."""
    if is_adopted(folder):
        return MachineConfig(device="cpu")
    return replace(read_config(folder).machine, devices=1, nodes=1)
