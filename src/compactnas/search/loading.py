"""Load a search in Python: supernet, architecture and data at its newest checkpoint."""

from __future__ import annotations

from pathlib import Path

from compactnas.config import DataConfig, MachineConfig
from compactnas.data import cut_halves, measure_normalization, open_dataset
from compactnas.errors import UserError
from compactnas.runs.checkpoints import Checkpoints
from compactnas.runs.folder import read_config
from compactnas.search.searcher import SearchData, Searcher
from compactnas.training.runtime import make_fabric


def load_search(folder: str | Path, data: DataConfig | None = None, machine: MachineConfig | None = None) -> Searcher:
    """Load the search of a run folder from its newest checkpoint.

    Args:
        folder: Folder of a run that has searched, or is searching.
        data: Where the data is now; by default where the search read it.
        machine: Device and precision; by default those of the run, on one device.

    Raises:
        UserError: The folder holds no search, or its data cannot be opened.
    """
    folder = Path(folder)
    config = read_config(folder)
    saved, _ = Checkpoints(folder / "search", 1).newest()
    if saved is None:
        raise UserError(f"{folder}: holds no checkpoint of a search; name the folder of a `compactnas search`")
    opened = open_dataset(data or config.data)
    train = opened.parts["train"]
    fabric = make_fabric(machine or MachineConfig(device=config.machine.device, precision=config.machine.precision))
    parts = cut_halves(opened, config.search.halves, config.seed)
    search = Searcher(
        config.space,
        config.search,
        SearchData(opened.source, parts, measure_normalization(opened.source, train)),
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
