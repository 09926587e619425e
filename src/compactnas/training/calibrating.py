"""Fit the temperature of a run's network, so that its confidence is as high as its accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn

from compactnas.adopted.manifest import is_adopted
from compactnas.adopted.opening import machine_of
from compactnas.config import DataConfig
from compactnas.data import Dataset, Indices, Source, open_dataset
from compactnas.errors import UserError
from compactnas.evaluation.calibration import fit_temperature, reliability_of_logits
from compactnas.evaluation.evaluate import logits_of
from compactnas.runs.fitting import require_fit
from compactnas.runs.folder import load, read_config, require_data
from compactnas.runs.temperature import Temperature, require_one_head
from compactnas.training.session import Session


def calibrate_stage(folder: Path, *, config: DataConfig | None = None) -> Temperature:
    """Fit the temperature of a run's network on the validation part. Writes `temperature.json`.

    `load` applies it, so exports, maps, predictions and evaluations have it too. The predicted classes stay.

    Args:
        folder: Folder of the run.
        config: Data config; by default, that of the run.

    Raises:
        UserError: The folder holds an adopted network or Sen2LCZ-Net-MF, or there is no validation part.
    """
    if is_adopted(folder):
        raise UserError(f"{folder}: an adopted network keeps its probabilities; fit a temperature where it was trained")
    network = _network(folder)
    data = data_of(folder, config)
    return _fit(folder, network, data.source, rows_of(data, "validation"), "validation")


def fit_on(folder: Path, source: Source, rows: Indices, part: str) -> Temperature:
    """Fit the temperature of a run's network on patches that it was not trained on. Writes `temperature.json`.

    Args:
        folder: Folder of the run.
        source: Patches.
        rows: Rows to fit on.
        part: Name of these rows, for the record.
    """
    return _fit(folder, _network(folder), source, rows, part)


def _network(folder: Path) -> nn.Module:
    """Load the network of a run without a temperature, and require that it can have one."""
    network = load(folder, calibrated=False)
    require_one_head(network)
    return network


def _fit(folder: Path, network: nn.Module, source: Source, rows: Indices, part: str) -> Temperature:
    machine = machine_of(folder)
    require_fit(folder, source.facts)
    session = Session(machine, folder)
    logits = logits_of(network.to(session.device), source, rows, session.device, channels_last=machine.channels_last)
    labels = source.facts.labels[rows].astype(np.int64)
    temperature = fit_temperature(logits, labels)
    before, after = (reliability_of_logits(logits / divisor, labels).ece for divisor in (1.0, temperature))
    found = Temperature(temperature, part, len(rows), before, after)
    with session.writing():
        session.on_rank_zero(found.write, folder)
    return found


def data_of(folder: Path, config: DataConfig | None) -> Dataset:
    """Open the data of a config, by default that of a run."""
    config = config or read_config(folder).data
    require_data(folder, config)
    return open_dataset(config)


def rows_of(data: Dataset, part: str) -> Indices:
    """Rows of a part that has patches."""
    rows = data.parts[part]
    if not len(rows):
        name = data.source.facts.name
        raise UserError(f"{name}: the {part} part is empty; choose another part, or set --data.validation_fraction")
    return rows
