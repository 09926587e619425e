"""What a stem that normalises half of its channels by patch adds to the layout `mobile`, in places without training.

    python scripts/eurosat_folder.py NPZ DATA
    python benchmarks/stems.py --data DATA --out DIR      # begins, or goes on where it stopped
    python benchmarks/stems.py --out DIR --table

The networks are those of `benchmarks/layouts.py`, at 8 % of ResNet-110's MACs. Each is trained twice, with the same
seed and the recipe of `find`: once with batch norm for the whole stem, once with half of it normalised by patch.
Accuracy is that of the fold's validation part, which also chose where the average of weights begins; the test parts are
not read. Results are lines of DIR/stems.jsonl. One thread.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Literal
from unittest.mock import patch

import torch
from layouts import FOLDS, config_of, draw
from lines import Line, add_lines, whole_lines
from pairs import difference_rows

from compactnas.data import Dataset, Source, open_source
from compactnas.data.splits import divide
from compactnas.finding.config import find_recipe
from compactnas.pipeline.evaluating import evaluate_stage
from compactnas.pipeline.running import train_stage
from compactnas.space.layouts import LAYOUTS
from compactnas.training.runtime import Silent

Stem = Literal["batch", "half"]
STEMS: tuple[Stem, ...] = ("half", "batch")
RESULTS = "stems.jsonl"


def measure(source: Source, stem: Stem, number: int, options: argparse.Namespace) -> Line:
    """Train a network with a stem, and measure it on the validation part of its fold."""
    config = config_of(options, number)
    config = replace(config, train=replace(find_recipe().train, epochs=options.epochs, validate_every=0))
    parts, warnings, groups = divide(source.facts, config.data)
    data = Dataset(source, parts, warnings, groups, "group", "folder")
    folder = options.out / "runs" / f"{stem}_{number}"
    with patch.dict(LAYOUTS._entries, {"mobile": replace(LAYOUTS["mobile"], stem=stem)}):
        train_stage(config, folder, draw("mobile", number), resume=True, listener=Silent(), data=data)
        found = evaluate_stage(folder, part="validation", data=data)
    about = {"name": f"{stem} {number}", "stem": stem, "number": number, "fold": FOLDS[number % len(FOLDS)]}
    return about | {"oa": found.measures.oa, "aa": found.measures.aa, "n": found.n, "macs": found.macs}


def table(lines: list[Line]) -> str:
    """Accuracy of each stem for each network, and the difference in pairs."""
    values = {stem: {row["number"]: 100 * row["oa"] for row in lines if row["stem"] == stem} for stem in STEMS}
    rows = ["| stem | n | OA % | by network |", "|---|---|---|---|"]
    for stem, own in values.items():
        each = ", ".join(f"{own[number]:.2f}" for number in sorted(own))
        rows.append(f"| {stem} | {len(own)} | {sum(own.values()) / max(1, len(own)):.2f} | {each} |")
    return "\n".join([*rows, "", *difference_rows(values, [STEMS])])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that scripts/eurosat_folder.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs, outside the checkout")
    parser.add_argument("--networks", type=int, default=6)
    parser.add_argument("--patches", type=int, default=8000, help="training patches, drawn by class")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--precision", default="bf16-mixed", help="as machine.precision")
    parser.add_argument("--table", action="store_true", help="only print the table of the results so far")
    options = parser.parse_args()
    file = options.out / RESULTS
    if not options.table:
        if options.data is None:
            parser.error("--data: name the folder that scripts/eurosat_folder.py wrote")
        torch.set_num_threads(1)
        options.out.mkdir(parents=True, exist_ok=True)
        done = {line["name"] for line in whole_lines(file)}
        source = open_source(config_of(options, 0).data)
        for number in range(options.networks):
            for stem in STEMS:
                if f"{stem} {number}" not in done:
                    add_lines(file, [measure(source, stem, number, options)])
    print(table(whole_lines(file)))


if __name__ == "__main__":
    main()
