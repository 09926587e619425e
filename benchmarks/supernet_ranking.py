"""How well trained supernets rank trained cells, by strategy.

    python benchmarks/supernet_ranking.py --data FOLDER --json supernet_ranking.json --seeds 3

The supernets are those of the setting `small` of `benchmarks/cures.py`, and FOLDER holds the same two files. The
trained cells are its 40 random ones within the budget, with their accuracy in the places that are held out. A figure is
Spearman's rank correlation of this accuracy with a cell's accuracy or loss on D_V with the supernet's weights, and with
its accuracy after the normalisation has been recalibrated, which is how `find` and `select` rank. For `effects`, also
with the sums of effects, by the number of networks that they are estimated from, with and without networks that have
dead nodes among these. Not So2Sat.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from cures import Bench
from cures_data import eurosat
from cures_settings import SEARCH, SPACE
from kept import read_kept
from scipy.stats import spearmanr
from torch import Tensor

from compactnas.data.prefetch import prefetched
from compactnas.evaluation.evaluate import measure
from compactnas.nn.registry import SEARCHED, ModelSpec, build
from compactnas.nn.supernet import certain_sample, copy_weights
from compactnas.search.effects import Effects, Measured
from compactnas.search.random_genotype import random_connected, random_live
from compactnas.search.searcher import Searcher
from compactnas.space.genotype import Genotype
from compactnas.training.norm_statistics import recalibrate
from compactnas.training.optim import forward_logits, loss_and_accuracy

RANDOM = Path(__file__).parents[1] / "results" / "cures_eurosat.jsonl"
PASSES = (8, 16, 32, 64, 100)
"""Networks for each batch of D_V."""
CALIBRATION = 512
"""Number of patches that recalibrate a cell."""
FALLING = {"tau_start": 1.0, "tau_end": 0.05, "alpha_learning_rate": 0.02, "augment": "dihedral"}
"""Options with which `find` used `snas`, with the temperatures of Xie et al. 2019."""
STRATEGIES: dict[str, dict[str, Any]] = {
    "effects": {"strategy": "effects"},
    "snas": {"strategy": "snas"},
    "snas, falling temperature": {"strategy": "snas"} | FALLING,
    "gdas": {"strategy": "gdas"},
}
"""Changes to the search of the setting."""
KINDS = {"without dead nodes": random_live, "all": random_connected}


def predictions(bench: Bench, search: Searcher, cells: list[Genotype]) -> dict[str, list[float]]:
    """Predict the rank of each cell in each way."""
    held_out = list(prefetched(search.unaugmented.epoch(0, 0), search.fabric.device, search.bilevel.memory))

    @torch.no_grad()
    def measured(genotype: Genotype, batch: int) -> tuple[Tensor, Tensor]:
        x, y = held_out[batch]
        sample = certain_sample(search.space, genotype)
        return loss_and_accuracy(forward_logits(search.fabric, search.bilevel.supernet, x, sample), y, len(y))

    pairs = [[measured(cell, batch) for batch in range(len(held_out))] for cell in cells]
    found = {
        "accuracy on D_V": [statistics.mean(float(accuracy) for _, accuracy in pair) for pair in pairs],
        "loss on D_V": [-statistics.mean(float(loss) for loss, _ in pair) for pair in pairs],
    }
    began = time.process_time()
    found["accuracy, recalibrated"] = [recalibrated(bench, search, cell) for cell in cells]
    print(f"{(time.process_time() - began) / len(cells):.2f} s for each cell, recalibrated")
    if search.config.strategy == "effects":
        found |= sums(search, cells, measured, len(held_out))
    return found


def recalibrated(bench: Bench, search: Searcher, cell: Genotype) -> float:
    """Accuracy of a cell on D_V with the supernet's weights, after its normalisation has been recalibrated."""
    network, device = build(ModelSpec(SEARCHED, *bench.sizes, cell)), search.fabric.device
    copy_weights(search.supernet, network)
    seen, size = replace(search.train_batches, augment="none"), search.config.batch_size
    recalibrate(network, seen, CALIBRATION // size, device, torch.contiguous_format)
    return measure(network, bench.data.source, search.alpha_batches.indices, device)[0].oa


def sums(
    search: Searcher, cells: list[Genotype], measured: Callable[[Genotype, int], tuple[Tensor, Tensor]], batches: int
) -> dict[str, list[float]]:
    """Add up effects from different numbers of networks."""
    found = {}
    for kind, draw in KINDS.items():
        generator = torch.Generator().manual_seed(search.train_batches.seed)
        depths = search.architecture.fixed_depths
        drawn = [draw(search.space, generator, depths) for _ in range(max(PASSES) * batches)]
        scores = [float(measured(one, place % batches)[1]) for place, one in enumerate(drawn)]
        for passes in PASSES:
            table = torch.tensor(scores[: passes * batches], dtype=torch.float64).reshape(passes, -1)
            relative = (table - table.mean(dim=0)).flatten()
            effects = Effects.of(search.space, Measured(drawn[: len(relative)], relative))
            found[f"sums, {kind}, {passes} a batch"] = [sum_of(effects, cell) for cell in cells]
    return found


def sum_of(effects: Effects, cell: Genotype) -> float:
    """Add up the effects of a cell's operations; all cells have the same depths."""
    operations, edges = SPACE.operations, SPACE.edges
    chosen = SPACE.operations_of(cell).items()
    return sum(float(effects.operations[edges.index(edge), operations.index(name)]) for edge, name in chosen)


def main() -> None:
    """Train the supernets, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, help="file of the rank correlations by name")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES), choices=STRATEGIES)
    options = parser.parse_args()
    kept = [line for line in read_kept(RANDOM).values() if line["kind"] == "random"]
    cells, oas = [Genotype.from_values(line["genotype"]) for line in kept], [line["oa"] for line in kept]
    bench, figures = Bench("eurosat", eurosat(options.data)), dict[str, list[float]]()
    for name, seed in product(options.strategies, range(options.seeds)):
        began = time.process_time()
        search = bench.searcher(replace(SEARCH, **STRATEGIES[name]), seed)
        for epoch in range(search.config.epochs):
            for _ in search.run_epoch(epoch):
                pass
        print(f"{name} {seed}: {time.process_time() - began:.0f} s of search")
        for way, values in predictions(bench, search, cells).items():
            figures.setdefault(f"{name}: {way}", []).append(round(float(spearmanr(values, oas)[0]), 3))
    print(f"{len(cells)} random cells, {options.seeds} supernets\n")
    print("| predicted by | rank correlation | by seed |\n|---|---|---|")
    for name, values in figures.items():
        print(f"| {name} | {statistics.mean(values):.2f} | {', '.join(f'{value:.2f}' for value in values)} |")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
