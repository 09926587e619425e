"""Short trainings side by side on the cores of this machine, against one after the other with a thread for each core.

    python benchmarks/side_by_side_trainings.py --json trainings.json

`compactnas select` by short trainings, and `compactnas find` with a fixed plan, on a synthetic world. The two ways take
turns. The stages of `find` that run side by side are `searches` and `halving`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

import torch
from side_by_side_jobs import run

from compactnas.finding.plan import STAGES, Plan, Speed
from compactnas.finding.planning import TimedPlan
from compactnas.synthetic import write_world

PLAN = Plan(
    folds=2,
    searches=2,
    search_epochs=2,
    candidates=8,
    ranked_rows=256,
    calibration=256,
    entrants=6,
    controls=1,
    rungs=(1, 3),
    teachers=0,
    epochs=2,
)
SEARCH = "--search.strategy gdas --search.warmup 0".split()
SELECT = "--by halving --candidates 8 --epochs 1 --eta 2 --rungs 2 --holdout random".split()


def measure(folder: Path, number: int, processes: int) -> dict[str, float]:
    """Select and find with some processes; return the seconds of both, and of the stages of the find."""
    beside = ["--processes", str(processes), "-o"]
    chosen, found = folder / f"chosen{number}-{processes}", folder / f"found{number}-{processes}"
    seconds = {"select": run("select", folder / "run", *SELECT, *beside, chosen)}
    data = ["--data.path", folder / "world", "--max-macs", "20M", "--folds", "2", "--machine.device", "cpu"]
    seconds["find"] = run("find", *data, *SEARCH, "--plan-from", folder / "plan.json", *beside, found)
    stages = json.loads((found / "find" / "seconds.json").read_text())
    return seconds | {f"find: {stage}": stages[stage] for stage in ("searches", "halving")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=1200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures by name")
    arguments = parser.parse_args()
    cores = torch.get_num_threads()
    found: dict[int, list[dict[str, float]]] = {1: [], cores: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_world(folder / "world", cities=6, test_cities=3, patches=arguments.patches, scene_px=320)
        TimedPlan(PLAN, Speed(*[1.0] * 6), dict.fromkeys(STAGES, 1.0), 1.0).write(folder / "plan.json")
        data = ["--data.path", folder / "world", "--machine.device", "cpu"]
        run("search", *data, "--recipe", "quick", "--search.epochs", "2", *SEARCH, "-o", folder / "run")
        for number in range(arguments.rounds):
            for processes, rounds in found.items():
                rounds.append(measure(folder, number, processes))
                print(f"load {os.getloadavg()[0]:.1f}, {processes} at a time: {rounds[-1]}", file=sys.stderr)
    print(f"| command | one, {cores} threads: s | {cores} at a time: s | times as fast |\n|---|---|---|---|")
    for what in found[1][0]:
        one, several = ([row[what] for row in found[processes]] for processes in (1, cores))
        gain = statistics.median(a / b for a, b in zip(one, several, strict=True))
        texts = (f"{statistics.median(all_):.1f} ({', '.join(f'{s:.1f}' for s in all_)})" for all_ in (one, several))
        print(f"| {what} | {' | '.join(texts)} | {gain:.2f} |")
    if arguments.json:
        arguments.json.write_text(json.dumps({"cores": cores, "seconds": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
