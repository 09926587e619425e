"""Places of found cells among the random ones with less noise: each cell is trained several times.

    python benchmarks/cures_again.py --data FOLDER --from results/cures_eurosat.jsonl --json cures_again.jsonl \
        --cures "main effects, skip limit" --resume
    python benchmarks/cures_again.py --from results/cures_eurosat.jsonl --json cures_again.jsonl --table

The cells are those of `benchmarks/cures.py` in the setting `small`, and FOLDER holds the same two files. A training of
a cell varies by more than good cells differ, in what was found and in the random cells. Here a cell's accuracy is the
mean of `--trainings` trainings, of which the file of `--from` holds the first. Each line of the file of `--json` is a
training. Not So2Sat.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from cures import Bench
from cures_data import eurosat
from cures_table import place
from kept import read_kept
from lines import Line, add_lines, whole_lines

from compactnas.space.genotype import Genotype

APART = 10_000
"""Distance between the seeds of a cell's trainings."""


def left(cells: Sequence[Line], trainings: int, done: dict[str, Line]) -> Iterator[tuple[Line, int, str]]:
    """Yield each cell, the number of a training that is left, and its name: first the second training of all cells."""
    for number in range(1, trainings):
        for cell in cells:
            name = f"{cell['name']}, training {number}"
            if name not in done:
                yield cell, number, name


def means(cells: Sequence[Line], lines: Sequence[Line]) -> dict[str, list[tuple[int, float]]]:
    """Seed and mean accuracy of each cell whose trainings are all done, by cure; random cells are the cure ''."""
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
    drawn = [oa for _, oa in found.pop("", [])]
    rows = [f"random cells: {len(drawn)}, OA {100 * statistics.mean(drawn):.2f} %", ""]
    rows += ["| cure | seeds | n | OA % | place | least | above median |", "|---|---|---|---|---|---|---|"]
    for cure, values in found.items():
        for name, chosen in (("all", range(10**6)), ("0 to 9", range(10)), ("10 and more", range(10, 10**6))):
            oas = [oa for seed, oa in values if seed in chosen]
            if oas:
                places = [place(oa, drawn) for oa in oas]
                rows.append(
                    f"| {cure} | {name} | {len(oas)} | {100 * statistics.mean(oas):.2f} | "
                    f"{100 * statistics.mean(places):.0f} % | {100 * min(places):.0f} % | "
                    f"{sum(one > 0.5 for one in places)}/{len(oas)} |"
                )
    return "\n".join(rows)


def main() -> None:
    """Do the trainings that are left, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--from", dest="first", type=Path, required=True, help="file of benchmarks/cures.py")
    parser.add_argument("--json", type=Path, required=True, help="file of the trainings, one line each")
    parser.add_argument("--cures", nargs="*", default=[], help="cures whose cells are trained again")
    parser.add_argument("--trainings", type=int, default=3, help="trainings of each cell, with the first one")
    parser.add_argument("--resume", action="store_true", help="keep the lines that the file holds")
    parser.add_argument("--table", action="store_true", help="only print the table of the file")
    options = parser.parse_args()
    if options.json.exists() and not (options.resume or options.table):
        parser.error(f"{options.json}: exists already; go on with --resume, or name another file")
    cells = list(read_kept(options.first).values())
    done = {line["name"]: line for line in whole_lines(options.json)}
    if not options.table:
        bench = Bench("eurosat", eurosat(options.data))
        wanted = [cell for cell in cells if cell["kind"] == "random" or cell["cure"] in options.cures]
        for cell, number, name in left(wanted, options.trainings, done):
            began = time.process_time()
            seed = cell["seed"] + (0 if cell["kind"] == "random" else 1000) + APART * number
            oa = bench.train(Genotype.from_values(cell["genotype"]), seed)
            done[name] = {"name": name, "cell": cell["name"], "training": number, "oa": oa}
            done[name]["train_s"] = round(time.process_time() - began, 1)
            add_lines(options.json, [done[name]])
            print(time.strftime("%H:%M:%S"), name, oa, file=sys.stderr)
    print(table(cells, list(done.values())))


if __name__ == "__main__":
    main()
