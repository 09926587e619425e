"""The stages of a run: search, train, evaluate and predict. Each reads its input from files and writes files."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from compactnas.adopted.opening import machine_of, trained_for
from compactnas.config import DataConfig, MachineConfig, RunConfig
from compactnas.cost.counter import genotype_cost
from compactnas.data import Dataset, Indices, cut_halves, measure_normalization, open_dataset, open_source
from compactnas.data.batches import SYMMETRIES
from compactnas.errors import UserError
from compactnas.evaluation.calibration import Reliability
from compactnas.evaluation.evaluate import confusion_of, predict_best, probabilities
from compactnas.evaluation.evaluation import Evaluation
from compactnas.evaluation.examples import fingerprint, write_examples
from compactnas.evaluation.groups import GroupCounts
from compactnas.evaluation.metrics import confusion_measures
from compactnas.io.atomic import read_json, write_bytes, write_json
from compactnas.nn.baselines import BASELINES
from compactnas.nn.registry import SEARCHED, ModelSpec, build, normalise_of
from compactnas.runs.folder import require_data, save_model, write_splits
from compactnas.search.random_genotype import random_like, space_like
from compactnas.search.searcher import SearchData, Searcher
from compactnas.space.genotype import Genotype
from compactnas.training.averaging import start_from
from compactnas.training.calibrating import data_of, rows_of
from compactnas.training.distillation import predict_by_teachers
from compactnas.training.runtime import Listener
from compactnas.training.session import Session
from compactnas.training.trainer import Training


def search_stage(
    config: RunConfig,
    folder: str | Path,
    *,
    resume: bool = False,
    listener: Listener | None = None,
    data: Dataset | None = None,
) -> Genotype:
    """Search for a network on the two halves of the training part. Writes `genotype.json` and `search/`.

    Args:
        config: Config of the run.
        folder: Folder of the run.
        resume: Whether to resume a search that was interrupted in this folder.
        listener: Receives progress and warnings.
        data: Dataset of the config, if it is open already.
    """
    data = data or open_dataset(config.data)
    return _search(Session(config.machine, Path(folder), listener), config, data, resume=resume)


def _search(session: Session, config: RunConfig, data: Dataset, *, resume: bool) -> Genotype:
    parts = cut_halves(data, config.search.halves, config.seed)
    normalisation = session.on_rank_zero(measure_normalization, data.source, data.parts["train"])
    search = Searcher(
        config.space,
        config.search,
        SearchData(session.place(data.source), parts, normalisation),
        session.fabric,
        seed=config.seed,
        channels_last=config.machine.channels_last,
    )

    def begin() -> None:
        session.begin(config, data, normalisation, resume=resume, stage="search")
        write_splits(session.folder / "search", {"weights": parts[0], "architecture": parts[1]})

    with session.writing():
        session.on_rank_zero(begin)
        return search.run(session.folder, session.listener, resume=resume, policy=session.checkpoint_policy)


def train_stage(
    config: RunConfig,
    folder: str | Path,
    model: str | Path | Genotype,
    *,
    like: str | Path = "",
    resume: bool = False,
    listener: Listener | None = None,
    data: Dataset | None = None,
) -> None:
    """Train one network from scratch on the whole training part. Writes the model and `train/`.

    Args:
        config: Config of the run.
        folder: Folder of the run.
        model: Baseline name, genotype, genotype file or run folder; or `random` for a random cell with the same
            cost as `like`.
        like: Genotype file or run folder; used only with `random`.
        resume: Whether to resume a training that was interrupted in this folder.
        listener: Receives progress and warnings.
        data: Dataset of the config, if it is open already.
    """
    data = data or open_dataset(config.data)
    model = str(model) if isinstance(model, Path) else model
    _train(Session(config.machine, Path(folder), listener), config, data, model, like=str(like), resume=resume)


def _train(
    session: Session, config: RunConfig, data: Dataset, model: str | Genotype, *, like: str = "", resume: bool
) -> None:
    folder, facts = session.folder, data.source.facts
    genotype = session.on_rank_zero(_genotype, model, like, config, data)
    spec = ModelSpec(
        str(model) if genotype is None else SEARCHED, len(facts.bands), len(facts.classes), facts.patch_px, genotype
    )
    torch.manual_seed(config.seed)
    network = build(spec)
    if config.train.start_from:
        start_from(network, spec, Path(config.train.start_from))
    normalisation = session.on_rank_zero(measure_normalization, data.source, data.parts["train"])
    normalise_of(network).set(normalisation.mean, normalisation.std)
    training = Training(
        network,
        config.train,
        session.place(data.source),
        data.parts["train"],
        data.parts["validation"],
        config.seed,
        session.fabric,
        channels_last=config.machine.channels_last,
        teacher_probabilities=predict_by_teachers(
            config.train.teachers, data, session.device, temperature=config.train.teacher_temperature
        ),
    )

    def begin() -> None:
        session.begin(config, data, normalisation, resume=resume, stage="train")
        if genotype is not None:
            write_bytes(folder / "genotype.json", genotype.to_json().encode())
        _same_model(folder / "train" / "model.json", spec)

    name = str(model) if model in (*BASELINES, "random") else "the genotype"
    with session.writing():
        session.on_rank_zero(begin)
        training.run(folder, session.listener, resume=resume, name=name, policy=session.checkpoint_policy)
        session.on_rank_zero(save_model, folder, spec, training.result)


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
    return _evaluate(session, data or data_of(folder, config), part, tta=tta)


def _evaluate(session: Session, data: Dataset, part: str = "test", *, tta: bool = False) -> Evaluation:
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


def run(
    config: RunConfig,
    folder: str | Path,
    *,
    resume: bool = False,
    listener: Listener | None = None,
    data: Dataset | None = None,
) -> Evaluation:
    """Search, train the found network from scratch, and measure it on the test part, all in one folder."""
    data, folder = data or open_dataset(config.data), Path(folder)
    session = Session(config.machine, folder, listener)
    found = session.on_rank_zero((folder / "genotype.json").exists)
    if not (resume and found):
        _search(session, config, data, resume=resume)
    # The folder now holds a search with this config; `resume` lets the training use the same folder.
    _train(session, config, data, str(folder / "genotype.json"), resume=True)
    return _evaluate(session, data)


def predict(folder: str | Path, config: DataConfig, output: str | Path, *, part: str = "") -> int:
    """Write the most probable class of each patch to a CSV file, and return the number of rows.

    Args:
        folder: Folder of the run or adopted network that predicts.
        config: Data config of the patches.
        output: CSV file, with the columns row, key, class, name and probability.
        part: Part to predict; empty for all patches.
    """
    folder = Path(folder)
    require_data(folder, config)
    data = open_dataset(config) if part else None
    source = open_source(config) if data is None else data.source
    facts = source.facts
    trained = trained_for(folder, facts, labelled=False)
    rows = np.arange(len(facts.labels)) if data is None else data.parts[part]
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


def _same_model(file: Path, spec: ModelSpec) -> None:
    """Write the description of the network in training, or check that a resumed training has the same network."""
    again = "resume with the same model, or choose a new folder"
    if file.exists() and read_json(file, again) != spec.to_json():
        raise UserError(f"{file}: this folder holds the training of another network; {again}")
    write_json(file, spec.to_json())


def _genotype(model: str | Genotype, like: str, config: RunConfig, data: Dataset) -> Genotype | None:
    """Return the genotype that `model` stands for; None for a baseline."""
    if isinstance(model, Genotype):
        return model
    if model in BASELINES:
        return None
    if model != "random":
        return Genotype.load(model)
    if not like:
        raise UserError("model: `random` needs a genotype whose cost the random cell should have; pass it as `like`")
    facts = data.source.facts
    sizes = {"bands": len(facts.bands), "classes": len(facts.classes), "patch_px": facts.patch_px}
    twin = Genotype.load(like)
    generator = torch.Generator().manual_seed(config.seed)
    return random_like(space_like(config.space, twin), genotype_cost(twin, **sizes).macs, generator, **sizes)
