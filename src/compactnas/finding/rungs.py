"""Successive halving on held-out groups: every candidate of a rung is trained once without each fold.

A training continues from the rung before, as in `compactnas.selection.halving`. The networks of the last rung are
saved, because they choose the average of weights, and can teach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from torch import nn

from compactnas.data import Indices
from compactnas.errors import UserError
from compactnas.evaluation.evaluate import predict_best, probabilities
from compactnas.finding.plan import ETA, Plan
from compactnas.finding.pool import AGAIN
from compactnas.finding.setting import Setting
from compactnas.finding.side_by_side import crew
from compactnas.finding.worth import Rights
from compactnas.io.atomic import read_json, write_json
from compactnas.io.jsonl import Row, read_rows
from compactnas.nn.registry import SEARCHED, ModelSpec
from compactnas.runs.checkpoints import remove_checkpoints
from compactnas.runs.folder import load, run_writer, save_model
from compactnas.selection.candidates import Candidate
from compactnas.selection.halving import goes_on, train_short
from compactnas.selection.holdout import HoldOut
from compactnas.selection.rung_table import Key, RungTable
from compactnas.space.genotype import Genotype
from compactnas.training.runtime import Listener
from compactnas.training.workers import ENDS_WITHIN_S


def run_rungs(
    setting: Setting,
    plan: Plan,
    candidates: Sequence[Candidate],
    entrants: dict[int, str],
    folder: Path,
    listener: Listener,
) -> list[Row]:
    """Train the candidates of each rung on each fold. An interrupted call can be repeated.

    Args:
        setting: Folds, config and device.
        plan: Rungs.
        candidates: All candidates.
        entrants: Number of each candidate of the first rung, with the reason; the first one stays to the last rung.
        folder: Folder of the trainings, and of `rungs.jsonl`.
        listener: Receives the progress.

    Returns:
        A row for each training of a rung, with the counts of each group.
    """
    file = folder / "rungs.jsonl"
    table = RungTable(file, _read(file))
    alive, control, rungs = list(entrants), next(iter(entrants)), len(plan.rungs)
    with crew(setting, _train, listener) as trainers:
        for rung, epochs in enumerate(plan.rungs):
            last = rung + 1 == rungs
            tasks = [
                _Task(candidates[number].genotype, number, fold, rung, epochs, rungs, folder)
                for number in alive
                for fold in range(plan.folds)
            ]
            table.fill(trainers, f"rung {rung + 1} of {rungs}", tasks)
            left = [] if last else survivors(scores_of(table.ordered, rung), control)
            for number in set(alive) - set(left):
                for fold in range(plan.folds):
                    remove_checkpoints(place_of(folder, number, fold) / "train")
            alive = left
    return table.ordered


@dataclass(frozen=True)
class _Task:
    """Training of a candidate without a fold, to the end of a rung."""

    genotype: Genotype
    number: int
    fold: int
    rung: int
    epochs: int
    rungs: int
    folder: Path

    @property
    def name(self) -> str:
        return f"rung {self.rung + 1} of {self.rungs}, candidate {self.number}, fold {self.fold + 1}"

    @property
    def key(self) -> Key:
        return self.rung, self.number, self.fold

    @property
    def last(self) -> bool:
        return self.rung + 1 == self.rungs

    def row(self, result: Row) -> Row:
        return {"rung": self.rung, "epochs": self.epochs, "candidate": self.number, "fold": self.fold, **result}


def survivors(scores: dict[int, float], control: int) -> list[int]:
    """Choose the candidates that go on: the best third, at least one, and a control whatever its score."""
    return sorted({*goes_on(scores, ETA), control})


def scores_of(rows: Sequence[Row], rung: int) -> dict[int, float]:
    """Mean accuracy of each candidate of a rung over the folds."""
    found: dict[int, list[float]] = {}
    for row in rows:
        if row["rung"] == rung:
            found.setdefault(int(row["candidate"]), []).append(float(row["accuracy"]))
    return {number: fmean(values) for number, values in found.items()}


def place_of(folder: Path, candidate: int, fold: int) -> Path:
    """Folder of the short trainings of a candidate without a fold."""
    return folder / f"{candidate:03d}" / f"fold{fold}"


def _train(setting: Setting, task: _Task, listener: Listener) -> Row:
    """Train a candidate to the end of a rung and count what is right in each held-out group."""
    held_out, folder = setting.held_out(task.fold, averaged=task.last), place_of(task.folder, task.number, task.fold)
    with run_writer(folder, wait_s=ENDS_WITHIN_S):
        training, rows = train_short(task.genotype, task.epochs, held_out, folder, listener, task.name)
        found: Row = {"accuracy": rows[-1]["validation_oa"], "groups": count_rights(setting, held_out, training.result)}
        if task.last:
            if "averaged_from" in rows[-1]:
                found["averaged_from"] = rows[-1]["averaged_from"]
                found["last_weights"] = count_rights(setting, held_out, training.network)
            facts = held_out.source.facts
            spec = ModelSpec(SEARCHED, len(facts.bands), len(facts.classes), facts.patch_px, task.genotype)
            save_model(folder, spec, training.result)
    return found


def count_rights(setting: Setting, held_out: HoldOut, network: nn.Module) -> dict[str, list[int]]:
    """Count the patches of each held-out group, and how many of them a network predicts right."""
    last = setting.config.machine.channels_last
    predicted = predict_best(network, held_out.source, held_out.rows, setting.fabric.device, channels_last=last).classes
    return _by_group(setting, held_out.rows, predicted)


def _by_group(setting: Setting, rows: Indices, predicted: np.ndarray) -> dict[str, list[int]]:
    assert setting.data.groups is not None
    names, of = np.unique(setting.data.groups[rows], return_inverse=True)
    right = (setting.data.source.facts.labels[rows] == predicted).astype(np.int64)
    patches, hits = np.bincount(of.ravel()), np.bincount(of.ravel(), right).astype(np.int64)
    return {str(name): [int(n), int(k)] for name, n, k in zip(names, patches, hits, strict=True)}


def _read(file: Path) -> dict[Key, Row]:
    """Read the trainings that are done."""
    rows = read_rows(file, AGAIN) if file.exists() else []
    try:
        return {(int(row["rung"]), int(row["candidate"]), int(row["fold"])): row for row in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file}: not the rungs of a find ({error}); {AGAIN}") from None


def rights_of(rows: Sequence[Row], rung: int, candidate: int, key: str = "groups") -> dict[str, tuple[int, int]]:
    """Join the counts of a candidate over all folds of a rung."""
    return {
        name: (int(n), int(k))
        for row in rows
        if row["rung"] == rung and row["candidate"] == candidate
        for name, (n, k) in row[key].items()
    }


def ensemble_rights(setting: Setting, plan: Plan, finalists: Sequence[int], folder: Path) -> Rights:
    """Measure the ensemble of the finalists on each fold, with the networks that were trained without it."""
    file = folder / "ensemble.json"
    if file.exists():
        raw = read_json(file, AGAIN)
        try:
            return {str(name): (int(n), int(k)) for name, (n, k) in raw.items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise UserError(f"{file}: not the ensemble of a find ({error}); {AGAIN}") from None
    device, found = setting.fabric.device, dict[str, list[int]]()
    for fold in range(plan.folds):
        held_out = setting.held_out(fold)
        total = torch.zeros(len(held_out.rows), len(held_out.source.facts.classes))
        for number in finalists:
            total += probabilities(
                load(place_of(folder, number, fold)).to(device), held_out.source, held_out.rows, device
            )
        found |= _by_group(setting, held_out.rows, total.argmax(dim=1).numpy())
    write_json(file, found)
    return {name: (n, k) for name, (n, k) in found.items()}
