"""Random search and evolution on NAS-Bench-201, by the code that chooses among a supernet's networks.

    python benchmarks/nasbench201.py --table nasbench201_accuracy.csv.gz --json nasbench201.json

The table (Dong and Yang 2020, 15,625 cells) holds what its authors measured, so this checks `strategies/trials.py`
against figures that nobody here made. What is searched is the validation accuracy on CIFAR-10 after 12 epochs; what
counts is the test accuracy after 200 epochs of the cell that is best by it so far. Its distance to the table's best is
the regret. What random search must find on average stands beside it: it follows from the table by counting.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compactnas.search.trials import Choices, Chooser, Row, evolution, random_search, regularized_evolution

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
SOURCES = (0, 0, 1, 0, 1, 2)
"""Of the six edges, node by node."""

SEARCHED, COUNTED = "cifar10_valid_12ep", "cifar10_test_200ep"
CHOOSERS: dict[str, Chooser] = {
    "random search": random_search,
    "evolution": evolution,
    "regularized evolution": regularized_evolution,
}
SHOWN = (10, 25, 50, 100, 200, 300, 400, 500)
QUANTILES = (0.1, 0.5, 0.9)

Regrets = NDArray[np.float64]
"""(seeds, evaluations), in points of accuracy."""


def parse_cell(text: str) -> Row:
    """The operation of each edge of a cell such as `|a~0|+|a~0|b~1|+|a~0|b~1|c~2|`."""
    nodes = [re.findall(r"([a-z_0-9]+)~(\d)\|", node) for node in text.split("+")]
    pairs = [pair for node in nodes for pair in node]
    if [len(node) for node in nodes] != [1, 2, 3] or tuple(int(source) for _, source in pairs) != SOURCES:
        raise ValueError(f"no cell of NAS-Bench-201: {text!r}")
    return tuple(OPERATIONS.index(name) for name, _ in pairs)


@dataclass(frozen=True)
class Table:
    """Cells and their two accuracies, %.

    Attributes:
        choices: the space.
        searched: what a search is told of a cell.
        counted: what its cell is worth.
    """

    choices: Choices
    searched: dict[Row, float]
    counted: dict[Row, float]

    @classmethod
    def read(cls, file: Path) -> Table:
        """The whole table of the gzipped CSV file."""
        with gzip.open(file, "rt", encoding="utf-8", newline="") as text:
            rows = [(parse_cell(row["cell"]), row) for row in csv.DictReader(text)]
        searched, counted = ({cell: float(row[name]) for cell, row in rows} for name in (SEARCHED, COUNTED))
        return cls(Choices((len(OPERATIONS),) * len(SOURCES)), searched, counted)


def regrets(table: Table, choose: Chooser, evaluations: int, seeds: int) -> tuple[Regrets, Regrets]:
    """Regret after each evaluation: in what counts, of the best so far in what is searched; and in that itself."""
    best = max(table.counted.values()), max(table.searched.values())
    found = np.zeros((2, seeds, evaluations))
    for seed in range(seeds):
        trials = choose(table.choices, table.searched.__getitem__, evaluations, np.random.default_rng(seed))
        row, value = trials[0]
        for number, trial in enumerate(trials):
            if trial.value > value:
                row, value = trial
            found[:, seed, number] = best[0] - table.counted[row], best[1] - value
    return found[0], found[1]


def expected(table: Table, values: dict[Row, float], evaluations: int) -> float:
    """Mean regret of random search without replacement, exactly, in either of the table's values.

    The cell of rank r from the top is the best of k among n with probability C(n - r, k - 1) / C(n, k), r from 1.
    """
    order = sorted(table.searched, key=lambda row: table.searched[row], reverse=True)
    n, best, total = len(order), max(values.values()), 0.0
    chance = evaluations / n
    for place, row in enumerate(order):
        total += chance * (best - values[row])
        left = n - 1 - place  # cells below this one
        chance *= max(left - evaluations + 1, 0) / left if left else 0.0
    return total


def summary(regret: Regrets, shown: Sequence[int]) -> list[dict[str, float]]:
    """Mean, deviation and quantiles over the seeds after so many evaluations."""
    rows = []
    for number in shown:
        column = regret[:, number - 1]
        row = {"evaluations": number, "mean": float(column.mean()), "std": float(column.std(ddof=1))}
        rows.append(row | {f"q{round(100 * q)}": float(np.quantile(column, q)) for q in QUANTILES})
    return rows


def main() -> None:
    """Run all and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True, help="nasbench201_accuracy.csv.gz")
    parser.add_argument("--evaluations", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--json", type=Path, help="where to write all figures")
    options = parser.parse_args()
    table = Table.read(options.table)
    print(f"{len(table.counted)} cells; best {COUNTED} {max(table.counted.values()):.2f} %,", end=" ")
    print(f"best {SEARCHED} {max(table.searched.values()):.2f} %; {options.seeds} seeds")
    shown = [number for number in SHOWN if number <= options.evaluations]
    figures: dict[str, Any] = {}
    for name, choose in CHOOSERS.items():
        both = regrets(table, choose, options.evaluations, options.seeds)
        figures[name] = {of: summary(regret, shown) for of, regret in zip((COUNTED, SEARCHED), both, strict=True)}
    for of in (COUNTED, SEARCHED):
        print(f"\nregret in {of}, points: mean ± deviation (10 %, median, 90 %)\n")
        print(f"| evaluations | random search, exactly | {' | '.join(CHOOSERS)} |\n|---|---|{'---|' * len(CHOOSERS)}")
        values = table.counted if of == COUNTED else table.searched
        for place, number in enumerate(shown):
            rows = [figures[name][of][place] for name in CHOOSERS]
            texts = [f"{r['mean']:.2f} ± {r['std']:.2f} ({r['q10']:.2f}, {r['q50']:.2f}, {r['q90']:.2f})" for r in rows]
            print(f"| {number} | {expected(table, values, number):.3f} | {' | '.join(texts)} |")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
