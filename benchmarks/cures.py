"""What each cure against the collapse of a search finds, placed among 40 random cells of the same MACs.

    python benchmarks/cures.py --data FOLDER --json cures.jsonl --seeds 10
    python benchmarks/cures.py --data FOLDER --json cures.jsonl --seeds 10 --resume
    python benchmarks/cures.py --data FOLDER --json cures.jsonl --table

FOLDER holds `eurosat_rgb_64_jpeg.npz` and `eurosat_rgb_32_small.npz`. Networks are trained on the 4,000 training
patches of the small set, searches use every second one. Accuracy is measured on the 5,400 patches of the validation
places, which are apart by longitude; the test places are not read. `--ground world` takes the made world instead
(FOLDER is made if it is missing): 6 cities to search and train, 3 others to measure, and groups for `search.halves`.
EuroSAT has no groups, but `scripts/eurosat_folder.py` guesses which patches are of one place: `--places places.csv`.
Not So2Sat: nothing here can be compared with the paper's accuracies.

The setting `small` is the recipe `quick` made small: 8 channels, 16 px, one cell a block (S+C), 8 epochs of 31 steps of
32 + 32 patches, three times the learning rate of alpha for a third of its steps. `--setting quick` takes space and
search of the recipe as they are, depths included; networks are trained for 10 epochs, a third of the recipe's.

Forty random cells within 95 to 100 % of the budget are trained once each. A search derives twice: without a budget,
which shows what it prefers (learnt operations), and within the budget; that cell is trained once, by the same recipe.
So a found cell's place among the random ones is uniform if the search is chance. Mixtures derive both by alpha and by
perturbation, from the same search.

What wins is fixed here before anything is measured: over 10 seeds, the found cell is above the median of the random
cells in at least 8, and the cell derived without a budget has a learnt operation in at least 9. Of several winners, the
one with the best mean place wins. Jobs are done one after the other in this process with one thread, each line of the
file is a network, and `--resume` goes on behind the last whole line. Seconds are those of the processor.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cures_data import GROUNDS
from cures_settings import BY_GROUP, CURES, PERTURBED, SETTINGS, Setting
from cures_table import show
from lines import add_lines, whole_lines

from compactnas.config import MachineConfig, SearchConfig
from compactnas.cost.constraints import Budget, admits
from compactnas.cost.table import CostTable
from compactnas.data import Dataset, cut_halves, measure_normalization
from compactnas.evaluation.evaluate import measure
from compactnas.nn.registry import SEARCHED, ModelSpec, build, normalise_of
from compactnas.nn.sample import Sample
from compactnas.search.derivation import Derived
from compactnas.search.perturbation import perturbation_scores
from compactnas.search.random_genotype import random_live
from compactnas.search.searcher import SearchData, Searcher
from compactnas.space.genotype import Genotype
from compactnas.space.operation_specs import OPERATIONS
from compactnas.training.runtime import Silent, make_fabric
from compactnas.training.trainer import Training

CELLS = 40
"""Number of random cells."""
ROUNDS = 5
"""Rounds of jobs in which the random cells are trained."""


@dataclass(frozen=True)
class Job:
    """A random cell to train, or a search and the training of what it finds."""

    kind: str
    seed: int
    cure: str = ""

    @property
    def keys(self) -> list[tuple[str, str, int]]:
        """What tells its lines from the others."""
        cures = [self.cure, *([PERTURBED[self.cure]] if self.cure in PERTURBED else [])]
        return [(self.kind, cure, self.seed) for cure in cures]


class Bench:
    """The jobs on one ground."""

    def __init__(self, ground: str, data: Dataset, setting: Setting = SETTINGS["small"]) -> None:
        self.data, self.facts, self.setting = data, data.source.facts, setting
        self.fabric = make_fabric(MachineConfig(device="cpu", threads=1))
        sizes = len(self.facts.bands), len(self.facts.classes), self.facts.patch_px
        self.depths = None if setting.search.search_depth else (1,) * setting.space.blocks
        table = CostTable.of(setting.space, setting.space.max_depth, *sizes)
        self.budget = Budget("macs", setting.macs[ground], table)
        self.normalisation = measure_normalization(data.source, data.parts["train"])
        self.sizes, self.every = sizes, setting.every[ground]

    def run(self, job: Job) -> list[dict[str, Any]]:
        """Do a job; give its lines."""
        lines = []
        for key, found in zip(job.keys, self.cells(job), strict=True):
            began, genotype = time.process_time(), found.pop("cell")
            oa = self.train(genotype, training_seed(job.kind, job.seed))
            seconds = {"train_s": round(time.process_time() - began, 1)}
            cost = {"macs": self.budget.cost_of(self.setting.space, genotype), "learnt": learnt(genotype)}
            about = dict(zip(("kind", "cure", "seed"), key, strict=True)) | {"oa": oa} | cost | found | seconds
            name = " ".join(filter(None, map(str, key)))
            lines.append({"name": name} | about | {"genotype": genotype.to_values()})
        return lines

    def cells(self, job: Job) -> Iterator[dict[str, Any]]:
        """Draw a cell, or search for one."""
        if job.kind == "random":
            yield {"cell": self.random_cell(job.seed)}
            return
        began = time.process_time()
        search = self.searcher(replace(self.setting.search, **CURES[job.cure]), job.seed)
        for epoch in range(search.config.epochs):
            for _ in search.run_epoch(epoch):
                pass
        entropy = {"entropy": round(search.architecture.entropy(), 4)}
        within = self.derived(search, search.conclude, self.budget)
        seconds = {"search_s": round(time.process_time() - began, 1)}
        yield described(self.derived(search, search.conclude), within) | entropy | seconds
        if job.cure in PERTURBED:
            began = time.process_time()
            scores = perturbation_scores(search.architecture, "mixture", partial(measured, search))
            within = self.derived(search, lambda: search.derive(scores), self.budget)
            seconds = {"perturbation_s": round(time.process_time() - began, 1)}
            free = self.derived(search, lambda: search.derive(scores))
            yield described(free, within) | entropy | seconds | {"scores": scores.round(decimals=3).tolist()}

    def derived(self, search: Searcher, derive: Callable[[], Derived], *budgets: Budget) -> Genotype:
        """Derive within budgets, or without one."""
        search.bilevel.budgets = budgets
        return derive().genotype

    def random_cell(self, number: int) -> Genotype:
        """Draw a cell within 95 to 100 % of the budget, without dead nodes."""
        generator = torch.Generator().manual_seed(number)
        while True:
            genotype = random_live(self.setting.space, generator, self.depths)
            if admits([self.budget], self.setting.space, genotype, 0.95):
                return genotype

    def searcher(self, config: SearchConfig, seed: int) -> Searcher:
        """Make a search, ready to step."""
        part = replace(self.data, parts={"train": self.data.parts["train"][:: self.every]})
        data = SearchData(self.data.source, cut_halves(part, config.halves, seed), self.normalisation)
        return Searcher(self.setting.space, config, data, self.fabric, seed=seed, channels_last=True)

    def train(self, genotype: Genotype, seed: int) -> float:
        """Train a cell from scratch; give its accuracy in the places that are held out."""
        torch.manual_seed(seed)
        network = build(ModelSpec(SEARCHED, *self.sizes, genotype))
        normalise_of(network).set(self.normalisation.mean, self.normalisation.std)
        rows, none = self.data.parts["train"], np.arange(0)
        training = Training(
            network, self.setting.train, self.data.source, rows, none, seed, self.fabric, channels_last=True
        )
        with tempfile.TemporaryDirectory() as folder:
            training.run(Path(folder), Silent(), resume=False, name="a cell")
        held_out = self.data.parts["validation"]
        return round(measure(training.result, self.data.source, held_out, self.fabric.device)[0].oa, 6)


def described(free: Genotype, within: Genotype) -> dict[str, Any]:
    """What a search prefers, and what it gives within the budget."""
    return {"cell": within, "free_learnt": learnt(free), "free": free.to_values()["nodes"]}


def measured(search: Searcher, samples: Iterable[Sample], count: int) -> list[float]:
    """Measure samples on D_V."""
    return [search.accuracy_of(sample) for sample in samples]


def learnt(genotype: Genotype) -> int:
    """Count the operations with weights that the cell's output depends on."""
    nodes = [edges for edges, live in zip(genotype.nodes, genotype.live_nodes, strict=True) if live]
    return sum(OPERATIONS[name].has_weights for edges in nodes for name, _ in edges)


def training_seed(kind: str, seed: int) -> int:
    """Seed of a cell's training; a found cell has another one than its search, and than the random cells."""
    return seed + (0 if kind == "random" else 1000)


def jobs(seeds: int, cures: Sequence[str]) -> Iterator[Job]:
    """In rounds: a fifth of the random cells, then all cures of a seed. What is done so far can always be compared."""
    for seed in range(max(seeds, ROUNDS)):
        if seed < ROUNDS:
            for number in range(seed, CELLS, ROUNDS):
                yield Job("random", number)
        if seed < seeds:
            for cure in cures:
                yield Job("found", seed, cure)


def main() -> None:
    """Do the jobs that are left, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--ground", choices=tuple(GROUNDS), default="eurosat")
    parser.add_argument("--places", type=Path, help="places.csv of scripts/eurosat_folder.py: groups for search.halves")
    parser.add_argument("--setting", choices=tuple(SETTINGS), default="small")
    parser.add_argument("--json", type=Path, required=True, help="file of the jobs, one line each")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cures", nargs="+", choices=tuple(CURES), help="all by default")
    parser.add_argument("--resume", action="store_true", help="keep the lines that the file holds")
    parser.add_argument("--table", action="store_true", help="only print the table of the file")
    options = parser.parse_args()
    if not options.table:
        work(options, parser)
    show(whole_lines(options.json), [*CURES, *PERTURBED.values()])


def work(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Do the jobs that are left."""
    if options.json.exists() and not options.resume:
        parser.error(f"{options.json}: exists already; go on with --resume, or name another file")
    grouped = options.ground == "world" or options.places is not None
    cures = options.cures or [cure for cure in CURES if grouped or cure not in BY_GROUP]
    done = {(line["kind"], line["cure"], line["seed"]) for line in whole_lines(options.json)}
    bench = Bench(options.ground, GROUNDS[options.ground](options.data, options.places), SETTINGS[options.setting])
    for job in jobs(options.seeds, cures):
        if not done.issuperset(job.keys):
            lines = bench.run(job)
            add_lines(options.json, lines)
            for line in lines:
                print(time.strftime("%H:%M:%S"), line["kind"], line["cure"], line["seed"], line["oa"], file=sys.stderr)


if __name__ == "__main__":
    main()
