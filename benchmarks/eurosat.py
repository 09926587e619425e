"""The paper's four settings and the baselines on real data: EuroSAT RGB at 32 px, spatial split.

    python scripts/eurosat_folder.py NPZ DATA
    python benchmarks/eurosat.py --data DATA --out RUNS          # all jobs, two at a time
    python benchmarks/eurosat.py --data DATA --out RUNS --table  # only the tables of what is done

(a) the small set (4,000 training patches): S, S+C, S+D, S+C+D by 25 epochs of search, two seeds,
beside ResNet-8, ResNet-20 and one random cell that costs what the first S+C+D network costs;
(b) the whole training part (16,200): that S+C+D network, ResNet-8 and ResNet-20, one seed;
(c) the same on a random 80/20 cut of the training part. (d) S+C+D by searches that cost less, sampled
depth and two sampled inputs a node, three seeds of each and of S+C+D itself, as (a). (a), (b) and (d) are tested on
the 5,400 patches of the spatial test part. Every job is a run folder and goes on where it was stopped.
Not So2Sat: nothing here can be compared with the paper's accuracies.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from side_by_side import add_job_options, do_as_asked, run_side_by_side

SETTINGS: dict[str, dict[str, Any]] = {
    "S": {"complexity": False, "search_depth": False},
    "S+C": {"complexity": True, "search_depth": False},
    "S+D": {"complexity": False, "search_depth": True},
    "S+C+D": {},
}
CHEAPER: dict[str, dict[str, Any]] = {
    "S+C+D, sampled depth": {"depth_mode": "sample"},
    "S+C+D, two inputs": {"sampled_inputs": 2},
}
"""What the options that change the mathematics of the search do to what it finds."""
SEARCHES = SETTINGS | CHEAPER
EPOCHS = 20
SPLITS = {"small": "split_spatial_small.csv", "whole": "split_spatial.csv", "random": "split_random.csv"}


@dataclass(frozen=True)
class Job:
    """One run folder: a method on a split with a seed."""

    split: str
    method: str
    seed: int

    @property
    def name(self) -> str:
        """Its folder."""
        return f"{self.split}/{self.method.replace(', ', '-').replace(' ', '_')}-{self.seed}"


def jobs() -> list[Job]:
    """All jobs, in an order in which what a job needs is started before it."""
    small = [Job("small", method, seed) for seed in (0, 1) for method in ("S+C+D", "S", "S+D", "S+C")]
    controls = [Job("small", method, seed) for method in ("resnet20", "resnet8", "random") for seed in (0, 1)]
    large = [Job(split, method, 0) for split in ("whole", "random") for method in ("resnet20", "S+C+D", "resnet8")]
    cheaper = [Job("small", method, seed) for seed in (0, 1, 2) for method in CHEAPER]
    return [*small[:4], *controls, *small[4:], *large, Job("small", "S+C+D", 2), *cheaper]


def work(job: Job, data: Path, out: Path) -> None:
    """Run one job in this process."""
    from compactnas.config import DataConfig, MachineConfig, quick
    from compactnas.pipeline.evaluating import evaluate_stage
    from compactnas.pipeline.running import run, train_stage
    from compactnas.training.runtime import Silent

    recipe = quick()
    csv = str(data / SPLITS[job.split])
    config = replace(
        recipe,
        data=DataConfig(path=str(data), split="csv", split_csv=csv, downsample=2),
        search=replace(recipe.search, strategy="gdas", skip_limit="log", **SEARCHES.get(job.method, {})),
        train=replace(recipe.train, epochs=EPOCHS, validate_every=0),
        machine=MachineConfig(device="cpu", threads=1),
        seed=job.seed,
    )
    folder, found = out / job.name, out / "small/S+C+D-0"
    if job.method in SEARCHES and job.split == "small":
        run(config, folder, resume=True, listener=Silent())
        return
    model = str(found) if job.method in SETTINGS else job.method
    if job.method == "random" and job.seed:  # the same cell, trained again
        model = str(out / "small/random-0")
    like = str(found) if model == "random" else ""
    train_stage(config, folder, model, like=like, resume=True, listener=Silent())
    evaluate_stage(folder)


def ready(job: Job, out: Path) -> bool:
    """Whether the genotype that a job needs is there."""
    if job.method == "random":
        needed = "small/random-0" if job.seed else "small/S+C+D-0"
    elif job.method in SETTINGS and job.split != "small":
        needed = "small/S+C+D-0"
    else:
        return True
    return (out / needed / "genotype.json").exists()


def run_all(data: Path, out: Path, at_once: int) -> None:
    """Run what is not done yet, some jobs at once."""
    left = [job for job in jobs() if not (out / job.name / "evaluation.json").exists()]

    def command(job: Job) -> list[str]:
        own = [sys.executable, __file__, "--data", str(data), "--out", str(out), "--job", job.name]
        return ["nice", "-n", "5", *own]

    run_side_by_side(left, lambda job: ready(job, out), command, at_once)


def results(out: Path) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Measures of what is done: split, method, one entry a seed."""
    found: dict[str, dict[str, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    for job in jobs():
        file = out / job.name / "evaluation.json"
        if not file.exists():
            continue
        raw = json.loads(file.read_text())
        seconds = [out / job.name / stage / "seconds.json" for stage in ("search", "train")]
        times = [json.loads(f.read_text()) if f.exists() else 0.0 for f in seconds]
        entry = {key: raw["measures"][key] for key in ("oa", "aa", "kappa", "macro_f1")}
        entry |= {"macs": raw["macs"], "parameters": raw["parameters"], "n_test": raw["n"], "depths": raw["depths"]}
        found[job.split][job.method].append(entry | {"search_s": times[0], "train_s": times[1], "seed": job.seed})
    return found


def table(found: dict[str, dict[str, list[dict[str, float]]]]) -> str:
    """The tables in Markdown."""
    lines = []
    for split, methods in found.items():
        lines += [
            f"\n{split}\n",
            "| method | n | OA % | AA % | kappa | parameters M | MACs M | depths | search s | train s |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for method, runs in methods.items():

            def spread(key: str, scale: float, digits: int, runs: list[dict[str, float]] = runs) -> str:
                values = [run[key] * scale for run in runs]
                text = f"{statistics.mean(values):.{digits}f}"
                return text if len(set(values)) == 1 else f"{text} ({min(values):.{digits}f}-{max(values):.{digits}f})"

            depths = " ".join("-".join(map(str, run["depths"])) if run["depths"] else "" for run in runs).strip()
            cells = [spread("oa", 100, 2), spread("aa", 100, 2), spread("kappa", 1, 3)]
            cells += [spread("parameters", 1e-6, 3), spread("macs", 1e-6, 2), depths]
            cells += [spread("search_s", 1, 0), spread("train_s", 1, 0)]
            lines.append(f"| {method} | {len(runs)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_job_options(parser)
    arguments = parser.parse_args()
    do_as_asked(
        arguments,
        jobs(),
        lambda job: work(job, arguments.data, arguments.out),
        lambda: run_all(arguments.data, arguments.out, arguments.at_once),
        lambda: results(arguments.out),
        table,
    )


if __name__ == "__main__":
    main()
