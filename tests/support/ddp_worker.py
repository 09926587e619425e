"""Run searches and trainings step by step for `test_ddp`, and save what each process computed."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric

from compactnas.config import MachineConfig, SearchConfig, TrainConfig
from compactnas.data import halves, measure_normalization, open_dataset
from compactnas.errors import AlreadyReportedError, UserError
from compactnas.evaluation.evaluate import measure
from compactnas.io.jsonl import Row
from compactnas.nn.baselines import BASELINES
from compactnas.nn.network import Network
from compactnas.nn.registry import normalise_of
from compactnas.nn.supernet import certain_sample
from compactnas.search.sampling import Draw
from compactnas.search.searcher import SearchData, Searcher
from compactnas.search.supernet_accuracy import batch_accuracies
from compactnas.space.genotype import Genotype
from compactnas.training.optim import process_group_of
from compactnas.training.resumable_loop import Trainer
from compactnas.training.runtime import Means, make_fabric
from compactnas.training.trainer import Training
from support.tiny import tiny_config

FOUND = Genotype(
    ((("sep_conv_5x5", 0),), (("skip_connect", 0), ("max_pool_3x3", 1)), (("dil_conv_3x3", 2), ("avg_pool_3x3", 1))),
    (1, 2, 1),
    4,
)
ROWS = 50
"""Number of patches in a training; with batches of 16, the last batch has 2."""

SEARCHES: dict[str, tuple[str, dict[str, object]]] = {
    "paper": ("paper", {"batch_size": 7, "augment": "dihedral"}),
    "nasnet": (
        "nasnet",
        {"batch_size": 7, "depth_mode": "sample", "unsampled_weights": "decay", "unsampled_gradient": "published"},
    ),
    "two by two": ("paper", {"batch_size": 2, "max_steps": 4, "sampled_inputs": 1}),
    "second order": ("paper", {"batch_size": 7, "strategy": "darts_second_order", "initial_depth": 1, "max_steps": 4}),
    "proxyless": ("paper", {"batch_size": 7, "strategy": "proxyless"}),
    "uniform": ("paper", {"batch_size": 7, "strategy": "uniform"}),
}
TRAININGS: dict[str, dict[str, object]] = {
    "found": {"augment": "dihedral"},
    "sen2lcz": {"learning_rate": 0.002},  # with dropout
}


class Watched:
    """Record of each draw of a search, with the alpha at that time."""

    def __init__(self, search: Searcher) -> None:
        self.bilevel, self.drawn, self.seen = search.bilevel, search.bilevel.draw, []
        search.bilevel.draw = self.draw  # type: ignore[method-assign]

    def draw(self, tau: float, *, gradient: bool) -> Draw:
        draw = self.drawn(tau, gradient=gradient)
        state = [p.detach().clone() for p in self.bilevel.architecture.parameters()]
        self.seen.append((draw.sample.path, draw.sample.depths, *state, self.bilevel.generator.get_state()))
        return draw


def first_epoch(trainer: Trainer, max_steps: int = 0) -> tuple[Row, list[dict[str, float]]]:
    """Run an epoch; return its row of metrics, and the values that each step shows."""
    means, steps = Means(), []
    for result in islice(trainer.run_epoch(0), max_steps or None):
        for patches, values in result.means:
            means.add(patches, **values)
        steps.append(result.shown)
    return means.result() | trainer.epoch_row(0), steps


def search_case(patches: Path, fabric: Fabric, layout: str, settings: dict[str, object]) -> dict[str, Any]:
    """Run an epoch of a search."""
    space: dict[str, object] = {"max_depth": settings.get("initial_depth", 2)}
    if settings.get("strategy") == "darts_second_order":
        space["nodes"] = 3  # it runs all operations four times a step
    config = tiny_config(patches, layout=layout, search=settings, space=space)  # type: ignore[arg-type]
    data = open_dataset(config.data)
    search = Searcher(
        config.space,
        SearchConfig(**config.search.__dict__),
        SearchData(
            data.source, halves(data.parts["train"], 0), measure_normalization(data.source, data.parts["train"])
        ),
        fabric,
        seed=0,
        channels_last=True,
    )
    watched = Watched(search)
    row, steps = first_epoch(search, config.search.max_steps)
    seen = {"row": row, "steps": steps, "draws": watched.seen, "weights": search.supernet.state_dict()}
    if layout != "paper":
        return seen
    first_batch = batch_accuracies(search.bilevel, search.unaugmented)(certain_sample(search.space, FOUND))
    return seen | {"accuracy": [search.accuracy(FOUND), round(first_batch, 6)]}


def train_case(patches: Path, fabric: Fabric, name: str, settings: dict[str, object]) -> dict[str, Any]:
    """Run an epoch of a training whose last batch is uneven, and compute the confusion matrix of 24 patches."""
    config = tiny_config(patches, train={"epochs": 1} | settings)
    data = open_dataset(config.data)
    train = data.parts["train"]
    facts = data.source.facts
    torch.manual_seed(0)
    sizes = len(facts.bands), len(facts.classes)
    network = Network(FOUND, *sizes) if name == "found" else BASELINES[name].build(*sizes)
    normalisation = measure_normalization(data.source, train)
    normalise_of(network).set(normalisation.mean, normalisation.std)
    training = Training(
        network,
        TrainConfig(**config.train.__dict__),
        data.source,
        train[:ROWS],
        data.parts["validation"],
        0,
        fabric,
        channels_last=True,
    )
    row, steps = first_epoch(training)
    _, confusion = measure(network, data.source, data.parts["test"], fabric.device, processes=process_group_of(fabric))
    return {
        "row": row,
        "steps": steps,
        "weights": training.network.state_dict(),
        "confusion": torch.from_numpy(confusion),
    }


def run_case(patches: Path, fabric: Fabric, case: str) -> dict[str, Any]:
    """Run the case `dtype:name`, with all computation in that dtype."""
    dtype, name = case.split(":")
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        if name in SEARCHES:
            return search_case(patches, fabric, *SEARCHES[name])
        return train_case(patches, fabric, name, TRAININGS[name])
    finally:
        torch.set_default_dtype(torch.float32)


def main(patches: str, folder: str, count: str, *cases: str) -> None:
    """Run as one process of several; the environment holds its rank."""
    fabric = make_fabric(MachineConfig(device="cpu", threads=1, devices=int(count)))
    found = {case: run_case(Path(patches), fabric, case) for case in cases}
    torch.save(found, Path(folder) / f"{fabric.global_rank}.pt")
    processes = process_group_of(fabric)
    assert processes.on_rank_zero(lambda: f"of {processes.rank}") == "of 0"
    with pytest.raises(AlreadyReportedError if processes.rank else UserError, match="a mistake") as caught:
        processes.on_rank_zero(_mistake)
    assert isinstance(caught.value, AlreadyReportedError) == (processes.rank > 0)
    processes.require_same("this", [1, 2])
    with pytest.raises(RuntimeError, match="this is not the same in all processes"):
        processes.require_same("this", processes.rank)


def _mistake() -> None:
    raise UserError("a mistake")
