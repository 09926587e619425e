"""Write run folders with untrained networks, and their exports, for tests of exports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from compactnas.cli import main
from compactnas.data import open_dataset
from compactnas.nn.registry import SEARCHED, ModelSpec, build, normalise_of
from compactnas.runs.folder import save_model, start
from compactnas.runs.task import Task
from support.fake_run import NASNET_CELL, PAPER_CELL
from support.made_once import made_once
from support.tiny import BANDS, CLASSES, SIDE, tiny_config, write_patches

SPECS = {
    "paper": ModelSpec(SEARCHED, BANDS, CLASSES, SIDE, replace(PAPER_CELL, channels=4, depths=(1, 1, 1))),
    "lean": ModelSpec(SEARCHED, BANDS, CLASSES, SIDE, replace(PAPER_CELL, channels=4, depths=(1, 1, 1), layout="lean")),
    "nasnet": ModelSpec(SEARCHED, BANDS, CLASSES, SIDE, replace(NASNET_CELL, channels=4, depths=(1, 1))),
    "resnet8": ModelSpec("resnet8", BANDS, CLASSES, SIDE),
}
TASK = Task(("B02", "B03", "B04", "B08"), ("field", "sea", "town"), SIDE, lcz=False)


def write_run(folder: Path, spec: ModelSpec, task: Task = TASK) -> Path:
    """Write a run folder with its data beside it; the network has running averages, but is untrained."""
    data = folder.with_name(f"{folder.name}.npz")
    write_patches(data)
    config = tiny_config(data)
    start(folder, config, open_dataset(config.data), resume=False, stage="train")
    torch.manual_seed(0)
    network = build(spec)
    normalise_of(network).set([0.3] * spec.bands, [0.1, 0.11, 0.12, 0.13])
    with torch.no_grad():
        for _ in range(40):  # set running means and variances
            network(0.3 + 0.1 * torch.randn(64, spec.bands, SIDE, SIDE))
        for module in network.modules():
            if isinstance(module, nn.Linear):
                module.weight *= 10  # so that outputs differ
    save_model(folder, spec, network)
    task.write(folder)
    return folder


def exported(factory: pytest.TempPathFactory, name: str) -> Path:
    """Return a run of one of `SPECS`, with its export beside it as `export`; all tests of the session share them."""

    def make(home: Path) -> None:
        assert main(["export", str(write_run(home / "run", SPECS[name])), "--output", str(home / "export")]) == 0

    return made_once(factory, f"{name}-exported", make) / "run"
