"""Export a run: make all files, check them against the network, and move them into place together."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from torch import nn

from compactnas.adopted.onnx_file import require_onnx
from compactnas.config import DataConfig
from compactnas.data import Dataset, open_dataset
from compactnas.errors import UserError
from compactnas.exporting.card import write_card
from compactnas.exporting.checking import Checking, Progress
from compactnas.exporting.engines import task_of
from compactnas.exporting.formats import FORMATS, TrainedNetwork
from compactnas.exporting.manifest import Manifest
from compactnas.exporting.names import GENOTYPE, PARITY, WEIGHTS
from compactnas.exporting.parity import Parity, require_parity
from compactnas.exporting.stac import write_item
from compactnas.io.appearing import appearing, require_new
from compactnas.io.atomic import write_bytes, write_json
from compactnas.nn.registry import ModelSpec
from compactnas.runs.fitting import require_fit
from compactnas.runs.folder import load, read_config
from compactnas.runs.task import Task
from compactnas.runs.temperature import Temperature


def export_run(
    run: str | Path,
    out: str | Path,
    *,
    data: DataConfig | None = None,
    without_data: bool = False,
    progress: Progress | None = None,
) -> Parity:
    """Export a run's network to a self-contained folder, and return the results of the checks.

    Args:
        run: Folder of a run with a trained network.
        out: Folder to make; it appears complete or not at all.
        data: Where the run's data is now; by default where the run read it.
        without_data: Check the files on random patches, without accuracies and without the 8-bit file.
        progress: Function that receives the number of finished patches and their total.

    Raises:
        UserError: `out` exists or is being written, the `export` extra is not installed, there is no trained network
            or no data, or a float32 file differs from the network by more than rounding.
    """
    run, out = Path(run), Path(out)
    require_onnx(*dict.fromkeys(module for known in FORMATS.values() for module in known.modules))
    spec, network, seed = ModelSpec.read(run), load(run), read_config(run).seed
    require_new(out)
    dataset = None if without_data else _open(run, data)
    task = task_of(run, data)
    if dataset is not None:
        require_fit(run, dataset.source.facts)
    trained = datetime.fromtimestamp((run / WEIGHTS).stat().st_mtime, UTC)
    with appearing(out) as folder:
        _write_networks(folder, spec, network, task)
        checking = Checking(folder, network, task, progress or (lambda done, total: None))
        parity = checking.on_made_patches() if dataset is None else checking.on_data(dataset, seed)
        require_parity(parity.files, {known.file: known.tolerance for known in FORMATS.values()})
        write_json(folder / PARITY, parity.to_json())
        write_item(folder, spec, network, task, parity, trained)
        write_card(folder, spec, network, task, parity, Temperature.read(run))
        Manifest.of(folder, task).write(folder)
    return parity


def _open(run: Path, data: DataConfig | None) -> Dataset:
    try:
        return open_dataset(data or read_config(run).data)
    except UserError as error:
        raise UserError(
            f"{error}; an export is checked on the run's data: pass --data.path, or use --without-data to leave out "
            "the 8-bit file and the accuracies"
        ) from None


def _write_networks(folder: Path, spec: ModelSpec, network: nn.Module, task: Task) -> None:
    """Write the genotype and the files of all formats that need no data."""
    if spec.genotype is not None:
        write_bytes(folder / GENOTYPE, spec.genotype.to_json().encode())
    trained = TrainedNetwork(spec, network, task)
    for known in FORMATS.values():
        if known.write is not None:
            known.write(folder, trained)
