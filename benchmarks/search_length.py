"""What a longer search decides: entropy of alpha and the derived cell after each epoch, at the paper's 105 epochs.

    python benchmarks/search_length.py --data FOLDER --json length.jsonl --figure search_length.png
    python benchmarks/search_length.py --data FOLDER --json length.jsonl --figure search_length.png --resume

Data, network, steps of an epoch and the 40 random cells are those of `benchmarks/cures.py`, so FOLDER holds the same
two files, and the cell that is found within the budget has a place among the kept random cells. Each search runs with
the paper's learning rate of alpha and with that of `cures`, which is 100 times as high. Each line of the file is a
search. Not So2Sat.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from cures import Bench, learnt
from cures_data import eurosat
from cures_settings import SEARCH, SPACE
from cures_table import place
from kept import read_kept
from lines import add_lines, whole_lines

from compactnas.config import SearchConfig
from compactnas.io.atomic import write_bytes
from compactnas.mapping.picture import DPI
from compactnas.space.genotype import Genotype
from compactnas.space.operation_specs import OPERATIONS

RANDOM = Path(__file__).parents[1] / "results" / "cures_eurosat.jsonl"
RATES = (SearchConfig().alpha_learning_rate, SEARCH.alpha_learning_rate)
COLOURS = {"learnt": "#1D4ED8", "pool": "#F59E0B", "skip": "#9CA3AF", "": "#FFFFFF"}
"""Kind of operation on an edge of the derived cell -> colour; white edges are not kept."""


def kind_of(name: str) -> str:
    """Tell learnt operations, pools and skips apart."""
    return "learnt" if OPERATIONS[name].has_weights else "skip" if name == "skip_connect" else "pool"


def edges_of(genotype: Genotype) -> list[str]:
    """Kind of operation on each edge of the space; empty where the cell keeps none."""
    kept = {(node, source): kind_of(name) for node, edges in enumerate(genotype.nodes) for name, source in edges}
    return [kept.get(edge, "") for edge in SPACE.edges]


def search(bench: Bench, strategy: str, rate: float, seed: int, epochs: int) -> dict[str, Any]:
    """Search, look at the cell after each epoch, and train the one that the budget admits; give its line."""
    began = time.process_time()
    searcher = bench.searcher(replace(SEARCH, strategy=strategy, alpha_learning_rate=rate, epochs=epochs), seed)
    entropies, cells, counts = [], [], []
    for epoch in range(epochs):
        for _ in searcher.run_epoch(epoch):
            pass
        free = searcher.derive().genotype
        entropies.append(round(searcher.architecture.entropy(), 4))
        cells.append(edges_of(free))
        counts.append(learnt(free))
    seconds = round(time.process_time() - began, 1)
    within = bench.derived(searcher, searcher.conclude, bench.budget)
    return {
        "name": f"{strategy} {rate:g} {seed}",
        "kind": strategy,
        "cure": f"{rate:g}",
        "seed": seed,
        "oa": bench.train(within, seed + 1000),
        "learnt": learnt(within),
        "search_s": seconds,
        "entropies": entropies,
        "learnt_by_epoch": counts,
        "edges_by_epoch": cells,
        "genotype": within.to_values(),
    }


def table(lines: Sequence[dict[str, Any]]) -> str:
    """One row for each strategy and learning rate."""
    drawn = [line["oa"] for line in read_kept(RANDOM).values() if line["kind"] == "random"]
    rows = [
        f"OA % of {len(drawn)} random cells: {100 * statistics.mean(drawn):.2f}\n",
        "| strategy | rate | n | entropy | learnt | OA % | place |",
        "|---" * 7 + "|",
    ]
    for strategy, rate in dict.fromkeys((line["kind"], line["cure"]) for line in lines):
        runs = [line for line in lines if (line["kind"], line["cure"]) == (strategy, rate)]
        ends = ", ".join(f"{line['entropies'][-1]:.2f}" for line in runs)
        counts = ", ".join(str(line["learnt_by_epoch"][-1]) for line in runs)
        oas = ", ".join(f"{100 * line['oa']:.2f}" for line in runs)
        mean = statistics.mean(place(line["oa"], drawn) for line in runs)
        rows.append(f"| {strategy} | {rate} | {len(runs)} | {ends} | {counts} | {oas} | {100 * mean:.0f} % |")
    return "\n".join(rows)


def draw(lines: Sequence[dict[str, Any]], file: Path) -> None:
    """Draw the entropy by epoch of all searches, and below the derived cell by epoch of the first of each kind."""
    import matplotlib.pyplot as plt
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Patch

    kinds = list(dict.fromkeys((line["kind"], line["cure"]) for line in lines))
    figure, axes = plt.subplots(
        1 + len(kinds), 1, figsize=(8, 2.6 + 1.5 * len(kinds)), sharex=True, layout="constrained"
    )
    for number, kind in enumerate(kinds):
        runs = [line for line in lines if (line["kind"], line["cure"]) == kind]
        for spot, line in enumerate(runs):
            label = f"{kind[0]}, rate of alpha {kind[1]}" if not spot else None
            epochs = range(1, len(line["entropies"]) + 1)
            axes[0].plot(epochs, line["entropies"], color=f"C{number}", lw=1.2, label=label)
        cell = axes[1 + number]
        strips = [[to_rgb(COLOURS[one]) for one in edges] for edges in runs[0]["edges_by_epoch"]]
        grid = [list(row) for row in zip(*strips, strict=True)]
        cell.imshow(grid, aspect="auto", interpolation="nearest", extent=(0.5, len(strips) + 0.5, len(grid), 0))
        cell.set_yticks([spot + 0.5 for spot in range(len(grid))])
        cell.set_yticklabels([f"{source} to {node + 1}" for node, source in SPACE.edges], fontsize=7)
        cell.set_title(f"cell of {kind[0]}, rate of alpha {kind[1]}, seed {runs[0]['seed']}", fontsize=9, loc="left")
    axes[0].set_ylabel("entropy (nats)")
    axes[0].legend(frameon=False, fontsize=8)
    axes[-1].set_xlabel("epoch")
    named = [Patch(facecolor=colour, edgecolor="0.6", label=name or "no edge") for name, colour in COLOURS.items()]
    figure.legend(handles=named, loc="outside lower center", ncols=len(named), frameon=False, fontsize=8)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    write_bytes(file, buffer.getvalue())


def main() -> None:
    """Do the searches that are left, print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path, required=True, help="file of the searches, one line each")
    parser.add_argument("--figure", type=Path, help="picture (PNG)")
    parser.add_argument("--strategies", nargs="+", default=["gdas"])
    parser.add_argument("--epochs", type=int, default=SearchConfig().epochs)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--resume", action="store_true", help="keep the lines that the file holds")
    options = parser.parse_args()
    if options.json.exists() and not options.resume:
        parser.error(f"{options.json}: exists already; go on with --resume, or name another file")
    done = {line["name"] for line in whole_lines(options.json)}
    bench = Bench("eurosat", eurosat(options.data))
    for seed in range(options.seeds):
        for strategy in options.strategies:
            for rate in RATES:
                if f"{strategy} {rate:g} {seed}" in done:
                    continue
                line = search(bench, strategy, rate, seed, options.epochs)
                add_lines(options.json, [line])
                print(time.strftime("%H:%M:%S"), line["name"], line["oa"], line["search_s"], file=sys.stderr)
    lines = whole_lines(options.json)
    print(table(lines))
    if options.figure:
        draw(lines, options.figure)


if __name__ == "__main__":
    main()
