"""Average the weights of independent trainings of one network.

Sources: DiWA (Ramé et al. 2022) averages trainings that begin with the same weights, so that a straight line between
their results stays at a low loss; the greedy choice is that of model soups (Wortsman et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from compactnas.data import Dataset, measure_normalization, open_dataset
from compactnas.data.batches import Batches
from compactnas.data.streams import Stream
from compactnas.errors import UserError
from compactnas.evaluation.evaluate import measure
from compactnas.io.atomic import write_bytes, write_json
from compactnas.io.jsonl import Row
from compactnas.nn.registry import ModelSpec
from compactnas.runs.data_record import DataRecord
from compactnas.runs.fitting import require_fit
from compactnas.runs.folder import load, load_weights, read_config, save_model
from compactnas.training.norm_statistics import CALIBRATION, recalibrate
from compactnas.training.runtime import Listener
from compactnas.training.session import Session


def start_from(network: nn.Module, spec: ModelSpec, folder: Path) -> None:
    """Load the weights of another run into a network that is about to be trained.

    Raises:
        UserError: The run has no trained network, or another one.
    """
    try:
        same = ModelSpec.read(folder) == spec
    except UserError as error:
        raise UserError(f"train.start_from: {error}") from None
    if not same:
        raise UserError(f"train.start_from: {folder} has trained another network; name a run of the same network")
    load_weights(network, folder / "model.safetensors")


def average_networks(networks: Sequence[nn.Module]) -> nn.Module:
    """Build the network with the mean weights; its running statistics are those of the first network."""
    found = deepcopy(networks[0])
    with torch.no_grad():
        for own, *others in zip(found.parameters(), *(one.parameters() for one in networks[1:]), strict=True):
            own.copy_(torch.stack([own, *others]).mean(0))
    return found


def average_runs(folders: Sequence[Path], folder: Path, listener: Listener, data: Dataset | None = None) -> list[Row]:
    """Average the networks of several runs. Writes the folder of a run, with `average.json`.

    With a validation part, the networks join from the best to the worst, and one stays only if the average is not less
    accurate with it. Otherwise all are averaged. The statistics of the normalisation are computed again.

    Args:
        folders: Folders of runs that have trained the same network.
        folder: Folder of the result.
        listener: Receives warnings.
        data: Data of the first run, if it is already open.

    Returns:
        A row for each run: its accuracy on the validation part (null without one), and whether it is in the average.

    Raises:
        UserError: There are fewer than two runs, they have trained different networks, or the folder holds a run.
    """
    if len(folders) < 2 or len({one.resolve() for one in folders}) < len(folders):
        raise UserError("average: needs the folders of two runs or more; name each once")
    if (folder / "config.yaml").exists():
        raise UserError(f"{folder}: holds a run; name a new folder for the average")
    spec, record = ModelSpec.read(folders[0]), DataRecord.read(folders[0])
    for other in folders[1:]:
        if ModelSpec.read(other) != spec:
            raise UserError(f"{other}: has trained another network than {folders[0]}; name runs of one network")
        theirs = DataRecord.read(other)
        if record and theirs and record.split_sha256 != theirs.split_sha256:
            raise UserError(
                f"{other}: has another split of the data than {folders[0]}, so the average would be measured on "
                "patches that trained it; name runs of one split"
            )
    config = read_config(folders[0])
    config = replace(config, machine=replace(config.machine, devices=1, nodes=1))
    data = data or open_dataset(config.data)
    require_fit(folders[0], data.source.facts)
    session = Session(config.machine, folder, listener)
    device, last = session.device, config.machine.channels_last
    memory = torch.channels_last if last else torch.contiguous_format
    networks = [load(one, calibrated=False).to(device) for one in folders]
    size = config.train.batch_size
    batches = Batches(data.source, data.parts["train"], size, seed=config.seed, stream=Stream.CALIBRATION)
    validation, source = data.parts["validation"], data.source

    def averaged(members: Sequence[int]) -> nn.Module:
        network = average_networks([networks[number] for number in members])
        recalibrate(network, batches, -(-CALIBRATION // size), device, memory)
        return network

    def accuracy(network: nn.Module) -> float:
        return measure(network, source, validation, device, channels_last=last)[0].oa

    alone = [accuracy(network) if len(validation) else None for network in networks]
    members = list(range(len(networks)))
    if len(validation):
        members = _greedy(alone, lambda chosen: accuracy(averaged(chosen)))
    rows: list[Row] = [
        {"run": str(one), "validation_oa": oa if oa is None else round(oa, 6), "averaged": number in members}
        for number, (one, oa) in enumerate(zip(folders, alone, strict=True))
    ]
    with session.writing():
        normalisation = measure_normalization(source, data.parts["train"])
        session.begin(config, data, normalisation, resume=False, stage="average.json")
        if spec.genotype is not None:
            write_bytes(folder / "genotype.json", spec.genotype.to_json().encode())
        save_model(folder, spec, averaged(members))
        write_json(folder / "average.json", rows)
    return rows


def _greedy(alone: Sequence[float | None], accuracy: Callable[[Sequence[int]], float]) -> list[int]:
    """Add networks from the best to the worst, each only if the average does not become less accurate."""
    order = sorted(range(len(alone)), key=lambda number: (-(alone[number] or 0.0), number))
    members, best = order[:1], alone[order[0]] or 0.0
    for number in order[1:]:
        found = accuracy([*members, number])
        if found >= best:
            members, best = [*members, number], found
    return members
