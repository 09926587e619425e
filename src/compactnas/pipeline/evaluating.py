"""Measure the trained network of a folder, and predict with it."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compactnas.adopted.opening import machine_of, trained_for
from compactnas.config import DataConfig, MachineConfig
from compactnas.data import (
    Dataset,
    Indices,
    open_dataset,
    open_source,
)
from compactnas.data.batches import SYMMETRIES
from compactnas.evaluation.calibration import Reliability
from compactnas.evaluation.evaluate import confusion_of, predict_best, probabilities
from compactnas.evaluation.evaluation import Evaluation
from compactnas.evaluation.examples import fingerprint, write_examples
from compactnas.evaluation.groups import GroupCounts
from compactnas.evaluation.metrics import confusion_measures
from compactnas.io.atomic import write_bytes, write_json
from compactnas.runs.folder import require_data
from compactnas.training.calibrating import data_of, rows_of
from compactnas.training.session import Session


def evaluate_stage(
    folder: str | Path,
    *,
    part: str = "test",
    config: DataConfig | None = None,
    data: Dataset | None = None,
    machine: MachineConfig | None = None,
    tta: bool = False,
) -> Evaluation:
    """Measure a run's or an adopted network on a part of the data: accuracy, calibration.

    Writes `examples.json`, which holds some patches as pictures, and then `evaluation.json`.

    Args:
        folder: Folder of the run or adopted network.
        part: Part to measure: `train`, `validation` or `test`.
        config: Data config; by default, that of the run.
        data: Dataset, if it is open already.
        machine: Machine config; by default, that of the run with one device; an adopted network takes the CPU.
        tta: Whether to average over the 8 symmetries of each patch (test-time augmentation), at 8 times the cost.
    """
    folder = Path(folder)
    session = Session(machine or machine_of(folder), folder)
    return evaluate(session, data or data_of(folder, config), part, tta=tta)


def evaluate(session: Session, data: Dataset, part: str = "test", *, tta: bool = False) -> Evaluation:
    facts = data.source.facts
    trained = trained_for(session.folder, facts)
    rows = rows_of(data, part)
    predicted = predict_best(
        trained.network.to(session.device),
        data.source,
        rows,
        session.device,
        channels_last=session.machine.channels_last,
        tta=tta,
        processes=session.processes,
    )
    confusion = confusion_of(predicted.classes, facts, rows)
    evaluation = Evaluation(
        model=trained.name,
        part=part,
        measures=confusion_measures(confusion, facts.lcz),
        classes=facts.classes,
        confusion=confusion,
        macs=trained.cost.macs * (SYMMETRIES if tta else 1),
        parameters=trained.cost.parameters,
        depths=trained.depths,
        turns=tta,
        reliability=Reliability.of(predicted.confidence, predicted.classes == facts.labels[rows]),
        groups=_group_counts(data, rows, predicted.classes),
    )
    with session.writing():
        session.on_rank_zero(
            write_examples, session.folder, data.source, rows, *predicted, fingerprint(part, confusion)
        )
        session.on_rank_zero(write_json, session.folder / "evaluation.json", evaluation.to_json())
    return evaluation


def predict(folder: str | Path, config: DataConfig, output: str | Path, *, part: str = "") -> int:
    """Write the most probable class of each patch to a CSV file, and return the number of rows.

    Args:
        folder: Folder of the run or adopted network that predicts.
        config: Data config of the patches.
        output: CSV file, with the columns row, key, class (counted from 0), name and probability.
        part: Part to predict; empty for all patches.
    """
    folder = Path(folder)
    require_data(folder, config)
    data = open_dataset(config) if part else None
    source = open_source(config) if data is None else data.source
    facts = source.facts
    trained = trained_for(folder, facts, labelled=False)
    rows = np.arange(len(facts.labels)) if data is None else rows_of(data, part)
    device = Session(machine_of(folder), folder).device
    best = probabilities(trained.network.to(device), source, rows, device).max(dim=-1)
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "key", "class", "name", "probability"])
    for row, label, p in zip(rows.tolist(), best.indices.tolist(), best.values.tolist(), strict=True):
        key = facts.keys[row] if facts.keys is not None else ""
        writer.writerow([row, key, label, trained.classes[label], f"{p:.4f}"])
    write_bytes(Path(output), text.getvalue().encode())
    return len(rows)


def _group_counts(data: Dataset, rows: Indices, predicted: NDArray[np.int64]) -> GroupCounts | None:
    """Count the predictions by group; None if the groups are unknown."""
    if data.groups is None:
        return None
    facts = data.source.facts
    return GroupCounts.count(
        data.groups[rows],
        facts.labels[rows].astype(np.int64),
        predicted,
        classes=len(facts.classes),
        lcz=facts.lcz,
        unit=data.unit,
    )
