"""The networks of `compactnas demo` over many seeds: the found one, the random cell of its cost, and ResNet-8.

    python benchmarks/demo_seeds.py --out DIR --json demo_seeds.jsonl --seeds 10
    python benchmarks/demo_seeds.py --json results/demo_seeds.jsonl --table

Each seed makes a world of its own, as `compactnas demo --seed N` does, and trains the three networks with one thread,
some four minutes. A line of the file is a seed. Seeds that the file holds are left out.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lines import add_lines, whole_lines
from scipy.stats import binomtest

from compactnas.cli.commands.demo import demo_config, make_world
from compactnas.data import open_dataset
from compactnas.evaluation.folds import fold_difference
from compactnas.pipeline.evaluating import evaluate_stage
from compactnas.pipeline.running import run, train_stage
from compactnas.training.runtime import Silent

OTHERS = {"random": "random cell", "resnet8": "ResNet-8"}


def measure(folder: Path, seed: int) -> dict[str, Any]:
    """Do the demo of a seed; give its line."""
    began, world = time.process_time(), folder / "world"
    make_world(world, seed, Silent())
    config = demo_config(world, seed)
    config = replace(config, machine=replace(config.machine, threads=1))
    data = open_dataset(config.data)
    results = {"found": run(config, folder / "found", resume=True, listener=Silent(), data=data)}
    for model in OTHERS:
        train_stage(
            config, folder / model, model, like=str(folder / "found"), resume=True, listener=Silent(), data=data
        )
        results[model] = evaluate_stage(folder / model, data=data)
    oas = {name: round(found.measures.oa, 6) for name, found in results.items()}
    genotype = json.loads((folder / "found" / "genotype.json").read_text())
    seconds = round(time.process_time() - began, 1)
    about = {"name": f"seed {seed}", "seed": seed}
    return about | oas | {"macs": results["found"].macs, "cpu_seconds": seconds, "genotype": genotype}


def table(lines: Sequence[dict[str, Any]]) -> str:
    """Differences in pairs, with their interval and sign test."""
    rows = ["| found minus | n | points | 95 % | at least equal | p |", "|---" * 6 + "|"]
    for model, name in OTHERS.items():
        d = [100 * (line["found"] - line[model]) for line in lines]
        found = fold_difference([[value] for value in d])  # a seed is a world, as a fold is a place
        assert found.t is not None, "two seeds or more"
        low, high = found.t
        n, least = len(d), sum(value >= 0 for value in d)
        p = binomtest(least, n, alternative="greater").pvalue
        rows.append(f"| {name} | {n} | {found.mean:+.2f} | {low:+.2f} to {high:+.2f} | {least}/{n} | {p:.3f} |")
    oas = {name: [100 * line[name] for line in lines] for name in ("found", *OTHERS)}
    means = ", ".join(f"{name} {statistics.mean(one):.1f} ± {statistics.stdev(one):.1f}" for name, one in oas.items())
    return "\n".join([*rows, "", f"OA %, mean and deviation over {len(lines)} seeds: {means}"])


def main() -> None:
    """Do the seeds that are left, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder of the demos; that of a seed is removed when it is done")
    parser.add_argument("--json", type=Path, required=True, help="file of the seeds, one line each")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--table", action="store_true", help="only print the table of the file")
    options = parser.parse_args()
    if not options.table:
        if options.out is None:
            parser.error("--out: name a folder for the demos")
        torch.set_num_threads(1)
        done = {line["seed"] for line in whole_lines(options.json)}
        for seed in sorted(set(range(options.seeds)) - done):
            line = measure(options.out / f"seed_{seed}", seed)
            add_lines(options.json, [line])
            shutil.rmtree(options.out / f"seed_{seed}")
            print(time.strftime("%H:%M:%S"), {name: line[name] for name in ("seed", "found", *OTHERS)}, flush=True)
    if len(lines := whole_lines(options.json)) > 1:
        print(table(lines))


if __name__ == "__main__":
    main()
