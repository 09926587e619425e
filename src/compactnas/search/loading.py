"""Load a search in Python: supernet, architecture and data at its newest checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compactnas.config import DataConfig, MachineConfig
from compactnas.data import measure_normalization, open_source
from compactnas.errors import UserError
from compactnas.runs.checkpoints import Checkpoints
from compactnas.runs.folder import read_config, read_split
from compactnas.search.searcher import SearchData, Searcher
from compactnas.training.runtime import make_fabric

AGAIN = "name the folder of a `compactnas search`"


def load_search(folder: str | Path, data: DataConfig | None = None, machine: MachineConfig | None = None) -> Searcher:
    """Load the search of a run folder from its newest checkpoint, with the halves of the data that it has used.

    Args:
        folder: Folder of a run that has searched, or is searching.
        data: Where the data is now; by default where the search read it.
        machine: Device and precision; by default those of the run, on one device.

    Raises:
        UserError: The folder holds no search, or its data cannot be opened or is another one.
    """
    folder = Path(folder)
    config = read_config(folder)
    saved, _ = Checkpoints(folder / "search", 1).newest()
    if saved is None:
        raise UserError(f"{folder}: holds no checkpoint of a search; {AGAIN}")
    source = open_source(data or config.data)
    halves = read_split(folder / "search", "weights", AGAIN), read_split(folder / "search", "architecture", AGAIN)
    most = max(int(rows.max()) for rows in halves) + 1
    if most > len(source.facts.labels):
        raise UserError(
            f"{source.facts.name}: has {len(source.facts.labels)} patches, but the search in {folder} read {most} or "
            "more; give the data of the search"
        )
    fabric = make_fabric(machine or MachineConfig(device=config.machine.device, precision=config.machine.precision))
    search = Searcher(
        config.space,
        config.search,
        SearchData(source, halves, measure_normalization(source, np.sort(np.concatenate(halves)))),
        fabric,
        seed=config.seed,
        channels_last=config.machine.channels_last,
    )
    try:
        search.restore(saved["state"])
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{folder / 'search'}: the checkpoint does not fit the run's config ({reason})") from None
    return search
