"""The stages of a run, each from files to files: search, train, evaluate, predict."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import torch

from compactnas.config import DataConfig, MachineConfig, RunConfig
from compactnas.cost.table import count, genotype_cost
from compactnas.data import Dataset, Normalization, Source, halves, measure_normalization, open_dataset, open_source
from compactnas.data.batches import SYMMETRIES
from compactnas.data.device_cache import on_device
from compactnas.distributed.process_group import ProcessGroup
from compactnas.errors import UserError
from compactnas.evaluation.evaluate import Evaluation, measure, probabilities, require_fit
from compactnas.io.atomic import read_json, write_bytes, write_json
from compactnas.nn.baselines import BASELINES
from compactnas.nn.registry import SEARCHED, ModelSpec, build, normalise_of
from compactnas.runs.checkpoints import CheckpointPolicy
from compactnas.runs.folder import load, load_spec, read_config, save_model, sole_writer, start, write_splits
from compactnas.runs.task import Task
from compactnas.search.random_genotype import random_like
from compactnas.search.searcher import SearchData, Searcher
from compactnas.space.genotype import Genotype, full_widths
from compactnas.training.distillation import predict_by_teachers
from compactnas.training.optim import process_group_of
from compactnas.training.runtime import Listener, Silent, make_fabric
from compactnas.training.trainer import Training


def search_stage(
    config: RunConfig,
    folder: Path,
    *,
    resume: bool = False,
    listener: Listener | None = None,
    data: Dataset | None = None,
) -> Genotype:
    """Searcher on the halves of the training part; writes `genotype.json` and `search/`.

    Args:
        config: the run's.
        folder: of the run.
        resume: go on where a run in this folder stopped.
        listener: is told how it goes.
        data: the opened data of the config, if it is open already.
    """
    data, listener = data or open_dataset(config.data), listener or Silent()
    fabric = make_fabric(config.machine)
    processes = process_group_of(fabric)
    parts = halves(data.parts["train"], config.seed)
    normalisation = processes.on_rank_zero(lambda: measure_normalization(data.source, data.parts["train"]))
    search = Searcher(
        config.space,
        config.search,
        SearchData(_placed(data.source, config, fabric.device), parts, normalisation),
        fabric,
        seed=config.seed,
        channels_last=config.machine.channels_last,
    )

    def begin() -> None:
        _begin(config, folder, data, normalisation, listener, resume=resume, stage="search")
        write_splits(folder / "search", {"weights": parts[0], "architecture": parts[1]})

    with _writing(folder, processes):
        processes.on_rank_zero(begin)
        heard = listener if processes.is_rank_zero else Silent()
        return search.run(folder, heard, resume=resume, policy=_checkpoint_policy(config.machine))


def train_stage(
    config: RunConfig,
    folder: Path,
    model: str | Genotype,
    *,
    like: str = "",
    resume: bool = False,
    listener: Listener | None = None,
    data: Dataset | None = None,
) -> None:
    """Train one network from scratch on the whole training part; writes the model and `train/`.

    Args:
        config: the run's.
        folder: of the run.
        model: a baseline's name; a genotype, its file or a run folder; or `random`, a random cell
            that costs what `like` costs.
        like: a genotype's file or a run folder, for `random`.
        resume: go on where a run in this folder stopped.
        listener: is told how it goes.
        data: the opened data of the config, if it is open already.
    """
    data, listener = data or open_dataset(config.data), listener or Silent()
    fabric = make_fabric(config.machine)
    processes, facts = process_group_of(fabric), data.source.facts
    genotype = processes.on_rank_zero(lambda: _genotype(model, like, config, data))
    spec = ModelSpec(
        str(model) if genotype is None else SEARCHED, len(facts.bands), len(facts.classes), facts.patch_px, genotype
    )
    torch.manual_seed(config.seed)
    network = build(spec)
    normalisation = processes.on_rank_zero(lambda: measure_normalization(data.source, data.parts["train"]))
    normalise_of(network).set(normalisation.mean, normalisation.std)
    training = Training(
        network,
        config.train,
        _placed(data.source, config, fabric.device),
        data.parts["train"],
        data.parts["validation"],
        config.seed,
        fabric,
        channels_last=config.machine.channels_last,
        teacher_probabilities=predict_by_teachers(config.train, data, fabric.device),
    )

    def begin() -> None:
        _begin(config, folder, data, normalisation, listener, resume=resume, stage="train")
        if genotype is not None:
            write_bytes(folder / "genotype.json", genotype.to_json().encode())
        _same_model(folder / "train" / "model.json", spec)

    name = str(model) if model in (*BASELINES, "random") else "the genotype"
    with _writing(folder, processes):
        processes.on_rank_zero(begin)
        heard = listener if processes.is_rank_zero else Silent()
        training.run(folder, heard, resume=resume, name=name, policy=_checkpoint_policy(config.machine))
        processes.on_rank_zero(lambda: save_model(folder, spec, training.result))


def evaluate_stage(
    folder: Path,
    *,
    part: str = "test",
    config: DataConfig | None = None,
    data: Dataset | None = None,
    machine: MachineConfig | None = None,
    turns: bool = False,
) -> Evaluation:
    """Measure a run's network on a part; writes `evaluation.json`.

    Args:
        folder: of the run.
        part: `train`, `validation` or `test`.
        config: other data than the run's own.
        data: the opened data, if it is open already.
        machine: where it is measured; none given takes the run's, but one device of it.
        turns: take the mean over the 8 symmetries of the square, at eight times the cost.
    """
    run_config = read_config(folder)
    machine = machine or replace(run_config.machine, devices=1, nodes=1)
    data = data or open_dataset(config or run_config.data)
    spec, network, facts = load_spec(folder), load(folder), data.source.facts
    require_fit(facts, spec.bands, spec.classes)
    rows = data.parts[part]
    if not len(rows):
        raise UserError(f"{facts.name}: the {part} part is empty; name another part or give data.validation_fraction")
    cost = count(network, spec.bands, facts.patch_px)
    fabric = make_fabric(machine)
    processes, last = process_group_of(fabric), machine.channels_last
    network = network.to(fabric.device)
    measures, confusion = measure(
        network, data.source, rows, fabric.device, channels_last=last, turns=turns, processes=processes
    )
    evaluation = Evaluation(
        model=spec.name,
        part=part,
        measures=measures,
        classes=facts.classes,
        confusion=confusion,
        macs=cost.macs * (SYMMETRIES if turns else 1),
        parameters=cost.parameters,
        depths=None if spec.genotype is None else spec.genotype.depths,
        turns=turns,
    )
    with _writing(folder, processes):
        processes.on_rank_zero(lambda: write_json(folder / "evaluation.json", evaluation.to_json()))
    return evaluation


def run(
    config: RunConfig,
    folder: Path,
    *,
    resume: bool = False,
    listener: Listener | None = None,
    data: Dataset | None = None,
) -> Evaluation:
    """Searcher, retrain what was found, measure it on the test part: all in one folder."""
    data = data or open_dataset(config.data)
    processes = process_group_of(make_fabric(config.machine))
    if not processes.on_rank_zero(lambda: resume and (folder / "genotype.json").exists()):
        search_stage(config, folder, resume=resume, listener=listener, data=data)
    # The folder holds a search by now, so the training goes on in it.
    train_stage(config, folder, str(folder / "genotype.json"), resume=True, listener=listener, data=data)
    return evaluate_stage(folder, data=data, machine=config.machine)


def predict(folder: Path, config: DataConfig, output: Path, *, part: str = "") -> int:
    """Write class and probability of each patch as CSV; gives the number of rows.

    Args:
        folder: of the run whose network predicts.
        config: which patches.
        output: the CSV file: row, key, class, name, probability.
        part: only this part; empty takes every patch.
    """
    spec, network = load_spec(folder), load(folder)
    data = open_dataset(config) if part else None
    source = open_source(config) if data is None else data.source
    facts = source.facts
    require_fit(facts, spec.bands, len(facts.classes))
    rows = np.arange(len(facts.labels)) if data is None else data.parts[part]
    fabric = make_fabric(replace(read_config(folder).machine, devices=1, nodes=1))
    network = network.to(fabric.device)
    best = probabilities(network, source, rows, fabric.device).max(dim=-1)
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "key", "class", "name", "probability"])
    for row, label, p in zip(rows.tolist(), best.indices.tolist(), best.values.tolist(), strict=True):
        key = facts.keys[row] if facts.keys is not None else ""
        writer.writerow([row, key, label, facts.classes[label], f"{p:.4f}"])
    write_bytes(output, text.getvalue().encode())
    return len(rows)


@contextmanager
def _writing(folder: Path, processes: ProcessGroup) -> Iterator[None]:
    """The first process is the folder's sole writer; the others wait for it, and hear if it cannot be."""
    with ExitStack() as stack:
        processes.on_rank_zero(lambda: stack.enter_context(sole_writer(folder)))
        yield


def _checkpoint_policy(machine: MachineConfig) -> CheckpointPolicy:
    return CheckpointPolicy(60 * machine.checkpoint_minutes, machine.keep_checkpoints)


def _begin(
    config: RunConfig,
    folder: Path,
    data: Dataset,
    normalisation: Normalization,
    listener: Listener,
    *,
    resume: bool,
    stage: str,
) -> None:
    """Write what a run knows before its first step; all bad input has been found by now."""
    for text in (*start(folder, config, resume=resume, stage=stage), *data.warnings):
        listener.warn(text)
    write_json(folder / "warnings.json", list(data.warnings))
    write_splits(folder, data.parts)
    facts = data.source.facts
    Task(facts.bands, facts.classes, facts.patch_px, facts.lcz).write(folder)
    bands = dict(zip(facts.bands, zip(normalisation.mean, normalisation.std, strict=True), strict=True))
    write_json(folder / "normalisation.json", {b: {"mean": m, "std": s} for b, (m, s) in bands.items()})


def _placed(source: Source, config: RunConfig, device: torch.device) -> Source:
    """The source, on the device if the config wants it there."""
    return on_device(source, device) if config.machine.data_on_device else source


def _same_model(file: Path, spec: ModelSpec) -> None:
    """Note which network a training trains, or check that a resumed one trains the same."""
    if file.exists() and read_json(file, "name a new folder") != spec.to_json():
        raise UserError(f"{file}: another network is trained here; resume with the same model, or name a new folder")
    write_json(file, spec.to_json())


def _genotype(model: str | Genotype, like: str, config: RunConfig, data: Dataset) -> Genotype | None:
    """The genotype that a model's name stands for; None for a baseline."""
    if isinstance(model, Genotype):
        return model
    if model in BASELINES:
        return None
    if model != "random":
        return Genotype.load(model)
    if not like:
        raise UserError("model: `random` needs `like`, the genotype whose cost the random cell must have")
    facts = data.source.facts
    sizes = {"bands": len(facts.bands), "classes": len(facts.classes), "patch_px": facts.patch_px}
    twin = Genotype.load(like)
    shares = config.space.widths
    if twin.widths and not shares:  # narrow cells cost what a narrow network does
        full = full_widths(twin.channels, len(twin.depths))
        shares = tuple(sorted({width / c for width, c in zip(twin.widths, full, strict=True)} | {1.0}))
    space = replace(config.space, layout=twin.layout, channels=twin.channels, blocks=len(twin.depths), widths=shares)
    generator = torch.Generator().manual_seed(config.seed)
    return random_like(space, genotype_cost(twin, **sizes).macs, generator, **sizes)
