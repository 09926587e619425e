"""Places of found cells among the random ones with less noise: each cell is trained several times.

    python benchmarks/cures_again.py --data FOLDER --json cures.jsonl --cures "main effects, skip limit"
    python benchmarks/cures_again.py --json cures.jsonl --table

The file is that of `benchmarks/cures.py` in the setting `small`, and FOLDER holds the same two files. Two trainings of
the same cell can differ by more than good cells do, for found and random cells alike. So a cell's accuracy is here the
mean of `--trainings` trainings. The first is that of `cures.py`; each of the others becomes a line of the same file.
What the file holds is left out. Not So2Sat.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from cures import Bench, training_seed
from cures_data import eurosat
from cures_settings import CURES, PERTURBED
from cures_table import place
from lines import Line, add_lines, whole_lines

from compactnas.space.genotype import Genotype

AGAIN = "again"
"""Kind of the lines of further trainings."""
APART = 10_000
"""Distance between the seeds of a cell's trainings."""
NAMES = (*CURES, *PERTURBED.values())


def left(cells: Sequence[Line], trainings: int, done: dict[str, Line]) -> Iterator[tuple[Line, int, str]]:
    """Yield each training that is left (cell, number, name): the second training of all cells first, then the third."""
    for number in range(1, trainings):
        for cell in cells:
            name = f"{cell['name']}, training {number}"
            if name not in done:
                yield cell, number, name


def means(cells: Sequence[Line], lines: Sequence[Line]) -> dict[str, list[tuple[int, float]]]:
    """Seed and mean accuracy of each cell that has as many trainings as any other; random cells are the cure ''."""
    again: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        again[line["cell"]].append(line["oa"])
    most = max(map(len, again.values()), default=0)
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for cell in cells:
        if len(again[cell["name"]]) == most:
            found[cell["cure"]].append((cell["seed"], statistics.mean([cell["oa"], *again[cell["name"]]])))
    return found


def table(cells: Sequence[Line], lines: Sequence[Line]) -> str:
    """Mean accuracy and place of each cure, over all seeds and over the first and later ones."""
    found = means(cells, lines)
    drawn, of = [oa for _, oa in found.pop("", [])], sum(cell["kind"] == "random" for cell in cells)
    rows = [f"random cells: {len(drawn)} of {of}, OA {100 * statistics.mean(drawn):.2f} %", ""]
    rows += ["| cure | seeds | n | OA % | place | least | above median |", "|---|---|---|---|---|---|---|"]
    for cure, values in found.items():
        for name, chosen in (("all", range(10**6)), ("0 to 9", range(10)), ("10 and more", range(10, 10**6))):
            oas = [oa for seed, oa in values if seed in chosen]
            if oas:
                places = [place(oa, drawn) for oa in oas]
                rows.append(
                    f"| {cure} | {name} | {len(oas)} | {100 * statistics.mean(oas):.2f} | "
                    f"{100 * statistics.mean(places):.1f} % | {100 * min(places):.1f} % | "
                    f"{sum(one > 0.5 for one in places)}/{len(oas)} |"
                )
    return "\n".join(rows)


def main() -> None:
    """Do the trainings that are left, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", type=Path, required=True, help="file of benchmarks/cures.py, which grows")
    parser.add_argument("--cures", nargs="*", default=[], choices=NAMES, help="cures whose cells are trained again")
    parser.add_argument("--trainings", type=int, default=3, help="trainings of each cell, with the first one")
    parser.add_argument("--table", action="store_true", help="only print the table of the file")
    options = parser.parse_args()
    if not options.table and options.data is None:
        parser.error("--data: name the folder of the two files")
    lines = whole_lines(options.json)
    cells = [line for line in lines if line["kind"] != AGAIN]
    done = {line["name"]: line for line in lines if line["kind"] == AGAIN}
    if not options.table:
        bench = Bench("eurosat", eurosat(options.data))
        wanted = [cell for cell in cells if cell["kind"] == "random" or cell["cure"] in options.cures]
        for cell, number, name in left(wanted, options.trainings, done):
            began = time.process_time()
            seed = training_seed(cell["kind"], cell["seed"]) + APART * number
            oa = bench.train(Genotype.from_values(cell["genotype"]), seed)
            line = {"name": name, "kind": AGAIN, "cure": "", "seed": cell["seed"], "cell": cell["name"]}
            done[name] = line | {"training": number, "oa": oa, "train_s": round(time.process_time() - began, 1)}
            add_lines(options.json, [done[name]])
            print(time.strftime("%H:%M:%S"), name, oa, file=sys.stderr)
    print(table(cells, list(done.values())))


if __name__ == "__main__":
    main()
