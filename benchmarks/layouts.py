"""How good the random networks of each layout are at one cost: distributions, and differences with intervals.

    python scripts/eurosat_folder.py NPZ DATA
    python benchmarks/layouts.py --data DATA --out DIR --precision bf16-mixed --resume
    python benchmarks/layouts.py --out DIR --table

Networks are drawn uniformly from a grid of channels (`CHANNELS`), depths (1 to `MAX_DEPTH`) and cells, until one costs
8 % of ResNet-110 within 2 %. Each is trained once, all with the same short recipe. The i-th network of every layout is
trained on the same of three folds and with the same seed, so layouts are compared in pairs. Accuracy is that of the
fold's validation part; the test parts are not read. Results are lines of DIR/layouts.jsonl. With --resume, networks
that are there already are left out and an interrupted training goes on at its last epoch. One thread.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lines import Line, add_lines, whole_lines
from pairs import difference_rows

from compactnas.config import DataConfig, MachineConfig, RunConfig, quick
from compactnas.cost.counter import count
from compactnas.cost.table import CostTable
from compactnas.data import Dataset, Source, open_source
from compactnas.data.splits import divide
from compactnas.nn.registry import ModelSpec, build
from compactnas.pipeline.evaluating import evaluate_stage
from compactnas.pipeline.running import train_stage
from compactnas.search.random_genotype import random_genotype
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space
from compactnas.training.runtime import Silent

FOLDS = (3, 4, 5)
"""Folds whose places are known best: two of their validation parts are bands of longitude without training patches."""
SHARE = 0.08
TOLERANCE = 0.02
CHANNELS = tuple(range(8, 42, 2))
MAX_DEPTH = {"paper": 3, "lean": 3, "mobile": 4}
BANDS, CLASSES, PX = 3, 10, 32
BEST_SHARE = 0.1
RESULTS = "layouts.jsonl"


@cache
def target_macs() -> float:
    """MACs that a network may have."""
    with torch.device("meta"):
        network = build(ModelSpec("resnet110", BANDS, CLASSES, PX))
    return SHARE * count(network, BANDS, PX).macs


@cache
def space_of(layout: str, channels: int) -> tuple[Space, CostTable]:
    """Space with these channels, and the costs of its networks."""
    space = Space(layout=layout, channels=channels, max_depth=MAX_DEPTH.get(layout, 3))
    return space, CostTable.of(space, space.max_depth, BANDS, CLASSES, PX)


def draw(layout: str, number: int) -> Genotype:
    """Draw the network of this number."""
    generator = torch.Generator().manual_seed(number)
    while True:
        channels = CHANNELS[int(torch.randint(len(CHANNELS), (), generator=generator))]
        space, table = space_of(layout, channels)
        genotype = random_genotype(space, generator)
        whole = genotype.is_connected and all(genotype.live_nodes)
        if whole and abs(table.total(space, genotype) - target_macs()) <= TOLERANCE * target_macs():
            return genotype


def config_of(options: argparse.Namespace, number: int) -> RunConfig:
    """Config of the training of the networks of this number."""
    recipe = quick()
    fold = options.data / f"fold_{FOLDS[number % len(FOLDS)]}.csv"
    return replace(
        recipe,
        data=DataConfig(
            str(options.data), downsample=2, split="csv", split_csv=str(fold), train_patches=options.patches
        ),
        train=replace(recipe.train, epochs=options.epochs, learning_rate=0.1, weight_decay=1e-3, validate_every=0),
        machine=MachineConfig(device="cpu", threads=1, precision=options.precision),
        seed=number,
    )


def measure(source: Source, layout: str, number: int, options: argparse.Namespace) -> Line:
    """Train a network, and measure it on the validation part of its fold."""
    config, folder = config_of(options, number), options.out / "runs" / f"{layout}_{number}"
    parts, warnings, groups = divide(source.facts, config.data)
    data = Dataset(source, parts, warnings, groups, "group", "folder")
    genotype, began = draw(layout, number), time.process_time()
    train_stage(config, folder, genotype, resume=True, listener=Silent(), data=data)
    found = evaluate_stage(folder, part="validation", data=data)
    return {
        "name": f"{layout} {number}",
        "layout": layout,
        "number": number,
        "fold": FOLDS[number % len(FOLDS)],
        "oa": found.measures.oa,
        "aa": found.measures.aa,
        "n": found.n,
        "macs": found.macs,
        "parameters": found.parameters,
        "cpu_seconds": round(time.process_time() - began, 1),
        "genotype": genotype.to_values(),
        "recipe": asdict(config.train) | {"patches": options.patches, "precision": options.precision},
    }


def run(options: argparse.Namespace) -> None:
    """Train the networks that are not done yet: the first of each layout, then the second, and so on."""
    file = options.out / RESULTS
    options.out.mkdir(parents=True, exist_ok=True)
    if file.exists() and not options.resume:
        raise SystemExit(f"{file}: exists already; go on with --resume, or choose another folder")
    done = {(row["layout"], row["number"]) for row in whole_lines(file)}
    wanted = [(layout, number) for number in range(options.networks) for layout in options.layouts]
    left = [job for job in wanted if job not in done]
    source = open_source(config_of(options, 0).data) if left else None
    for layout, number in left:
        assert source is not None
        row = measure(source, layout, number, options)
        add_lines(file, [row])
        print(
            f"{time.strftime('%H:%M:%S')} {layout} {number}: {100 * row['oa']:.2f} %, {row['macs'] / 1e6:.2f} M MACs, "
            f"{row['cpu_seconds']:.0f} s",
            flush=True,
        )


def best_mean(values: np.ndarray[Any, Any]) -> float:
    """Mean of the best tenth, at least one."""
    return float(np.sort(values)[-max(1, round(BEST_SHARE * len(values))) :].mean())


def table(rows: list[Line]) -> str:
    """Write the table in Markdown.

    Folds differ in difficulty. So the deviation is also given after the mean of each fold is taken off, and the best
    tenth is that of accuracies which are moved to the mean of all folds.
    """
    layouts = list(dict.fromkeys(row["layout"] for row in rows))
    level = {
        fold: np.mean([100 * row["oa"] for row in rows if row["fold"] == fold]) for fold in {r["fold"] for r in rows}
    }
    lines = [
        "| layout | n | OA % | deviation | deviation within folds | best decile | MACs M | CPU minutes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for layout in layouts:
        own = [row for row in rows if row["layout"] == layout]
        oa = np.array([100 * row["oa"] for row in own])
        inside = oa - np.array([level[row["fold"]] for row in own])
        best = float(np.mean(list(level.values()))) + best_mean(inside)
        spread = (f"{oa.std(ddof=1):.2f}", f"{inside.std(ddof=1):.2f}") if len(oa) > 1 else ("-", "-")
        cost, minutes = (np.mean([row[key] for row in own]) for key in ("macs", "cpu_seconds"))
        lines.append(
            f"| {layout} | {len(own)} | {oa.mean():.2f} | {spread[0]} | {spread[1]} | {best:.2f} "
            f"| {cost / 1e6:.2f} | {minutes / 60:.1f} |"
        )
    values = {one: {row["number"]: 100 * row["oa"] for row in rows if row["layout"] == one} for one in layouts}
    compared = [(one, other) for place, one in enumerate(layouts) for other in layouts[:place]]
    return "\n".join([*lines, "", *difference_rows(values, compared)])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that scripts/eurosat_folder.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs, outside the checkout")
    parser.add_argument("--layouts", nargs="+", default=list(MAX_DEPTH))
    parser.add_argument("--networks", type=int, default=20, help="number of networks of each layout")
    parser.add_argument("--patches", type=int, default=8000, help="training patches, drawn by class")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--precision", default="32-true", help="as machine.precision")
    parser.add_argument("--resume", action="store_true", help="go on with the results in DIR")
    parser.add_argument("--table", action="store_true", help="only print the table of the results so far")
    options = parser.parse_args()
    if not options.table:
        if options.data is None:
            parser.error("--data: name the folder that scripts/eurosat_folder.py wrote")
        torch.set_num_threads(1)
        run(options)
    if rows := whole_lines(options.out / RESULTS):
        print(table(rows))
    elif options.table:
        parser.error(f"{options.out / RESULTS}: no results yet; run without --table first")


if __name__ == "__main__":
    main()
