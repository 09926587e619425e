"""From a run to an export: every file made, checked against the network, and moved into place together."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from torch import nn

from compactnas.config import DataConfig
from compactnas.data import Dataset, open_dataset
from compactnas.errors import UserError
from compactnas.evaluation.evaluate import require_fit
from compactnas.export.card import write_card
from compactnas.export.checking import Checking, Progress
from compactnas.export.engines import task_of
from compactnas.export.formats import FORMATS, TrainedNetwork
from compactnas.export.manifest import GENOTYPE, PARITY, WEIGHTS, Manifest
from compactnas.export.parity import Parity, require_parity
from compactnas.export.reading import require_extra
from compactnas.export.stac import write_item
from compactnas.io.atomic import write_bytes, write_json
from compactnas.nn.registry import ModelSpec
from compactnas.runs.folder import load, load_spec, read_config, sole_writer
from compactnas.runs.task import Task


def export_run(
    run: Path,
    out: Path,
    *,
    data: DataConfig | None = None,
    without_data: bool = False,
    progress: Progress | None = None,
) -> Parity:
    """Write a run's network to a folder that stands alone; gives what was measured on the way.

    Args:
        run: folder of a trained network.
        out: folder to make; it appears whole or not at all.
        data: where the run's data is now, if not where it was.
        without_data: check the files on made patches; no 8-bit file, since it needs real ones, and no accuracy.
        progress: Function that receives the number of finished patches and their total.

    Errors:
        UserError: `out` is there already or being made, the `export` extra is not installed, there is no trained
            network or no data, or a float32 file differs from the network by more than rounding.
    """
    require_extra(*dict.fromkeys(module for known in FORMATS.values() for module in known.modules))
    spec, network, seed = load_spec(run), load(run), read_config(run).seed
    if out.exists():
        raise UserError(f"{out}: is there already; name a new folder with --output")
    dataset = None if without_data else _open(run, data)
    task = task_of(run, data)
    if dataset is not None:
        require_fit(dataset.source.facts, spec.bands, spec.classes)
    trained = datetime.fromtimestamp((run / WEIGHTS).stat().st_mtime, UTC)
    with _appearing(out) as folder:
        _write_networks(folder, spec, network, task)
        checking = Checking(folder, network, task, progress or (lambda done, total: None))
        parity = checking.on_made_patches() if dataset is None else checking.on_data(dataset, seed)
        require_parity(parity.files, {known.file: known.tolerance for known in FORMATS.values()})
        write_json(folder / PARITY, parity.to_json())
        write_item(folder, spec, network, task, parity, trained)
        write_card(folder, spec, network, task, parity)
        Manifest.of(folder, task).write(folder)
    return parity


def _open(run: Path, data: DataConfig | None) -> Dataset:
    try:
        return open_dataset(data or read_config(run).data)
    except UserError as error:
        raise UserError(
            f"{error}; the files are checked on patches of the run's data: say where it is with --data.path, or "
            "leave out the 8-bit file and the accuracies with --without-data"
        ) from None


def _write_networks(folder: Path, spec: ModelSpec, network: nn.Module, task: Task) -> None:
    """Write the genotype and the files of all formats that need no data."""
    if spec.genotype is not None:
        write_bytes(folder / GENOTYPE, spec.genotype.to_json().encode())
    trained = TrainedNetwork(spec, network, task)
    for known in FORMATS.values():
        if known.write is not None:
            known.write(folder, trained)


@contextmanager
def _appearing(out: Path) -> Iterator[Path]:
    """A folder to fill, in a hidden one beside its place: it is moved there at the end, or removed.

    What an export left there that was killed goes first; one that is at work is let alone.
    """
    beside = out.with_name(f".{out.name}.part")
    with sole_writer(beside):
        folder = beside / "export"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
            folder.rename(out)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
