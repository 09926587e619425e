"""`find` against random search of the same work, a guess by hand, and ResNets, on five folds of places of EuroSAT RGB.

    python scripts/eurosat_folder.py NPZ DATA
    python benchmarks/find_folds.py --data DATA --out DIR      # begins, or goes on where it stopped
    python benchmarks/find_folds.py --out DIR --table

On fold K, all methods have the same 8,000 patches of the other four folds, and their networks are measured once on the
5,400 patches of fold K. A find may use a share of ResNet-110's MACs, and holds out one of the four folds at a time. The
random search is a find of as many hours without searches. Both plans are made once for each share, on this machine,
before anything else runs, and then hold for all folds. The winners, the guess and the ResNets are trained by the same
recipe: that of `find`, for `EPOCHS` epochs, without a teacher. Only a find also chooses when its average of weights
begins, on held-out folds. Plans and results are lines of DIR/find_folds.jsonl; a kept copy of it in a new DIR is
enough to go on. `wall_seconds` are those of a find. Not So2Sat.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

import torch
from lines import Line, add_lines, whole_lines
from pairs import difference_rows

from compactnas.config import DataConfig, MachineConfig, RunConfig
from compactnas.cost.counter import count
from compactnas.data import open_dataset
from compactnas.distributed.fresh_processes import fresh_processes
from compactnas.evaluation.evaluation import Evaluation
from compactnas.finding.config import FindConfig, find_recipe
from compactnas.finding.planning import TimedPlan, plan_for
from compactnas.finding.run import run_find, seconds_of
from compactnas.finding.setting import Setting
from compactnas.io.atomic import read_json, write_json
from compactnas.nn.registry import ModelSpec, build
from compactnas.pipeline.evaluating import evaluate_stage
from compactnas.pipeline.running import train_stage
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space
from compactnas.training.runtime import Silent

FOLDS, EPOCHS = 5, 12
SHARES = (0.08, 0.04)
BANDS, CLASSES, PX = 3, 10, 32
SPACE = Space(layout="mobile", channels_by_block=(32, 56, 96), widths=(0.5, 0.75, 1.0), max_depth=4, alpha_per="layer")
"""Space of both. Its random networks are the best at one cost, and alike (docs/lab/2026-11-30-layouts.md): a search has
little to gain. Those of `lean` differ more, but their training takes twice as long (docs/lab/2026-12-01-stem.md), so
0.4 hours are enough for very few."""
RESNETS = ("resnet8", "resnet20", "resnet32", "resnet110")
FIND, CHANCE, GUESS = "find", "random search", "guess"
RESULTS = "find_folds.jsonl"


def chain(channels: tuple[int, ...], depths: tuple[int, ...], names: tuple[str, ...]) -> Genotype:
    """Make a mobile network with one operation in each block."""
    nodes = tuple(((name, node),) for node, name in enumerate(names))
    return Genotype(nodes, depths, channels[0], "mobile", channels)


GUESSES = {
    0.08: chain((24, 40, 80), (1, 2, 2), ("mb_k5_e2", "mb_k5_e2", "mb_k5_e3")),
    0.04: chain((16, 24, 48), (1, 1, 2), ("mb_k3_e2", "mb_k5_e3", "mb_k5_e3")),
}
"""Networks that were written down before anything was measured on these folds."""


class Job(NamedTuple):
    """A method on a fold.

    Attributes:
        method: `find`, `random search`, `guess`, or the name of a baseline.
        share: Share of ResNet-110's MACs; 0 for a baseline.
        fold: Number of the test fold, from 1.
    """

    method: str
    share: float
    fold: int

    @property
    def label(self) -> str:
        """Name of the method with its share."""
        return f"{self.method} {100 * self.share:g} %" if self.share else self.method

    @property
    def name(self) -> str:
        """Name of its line."""
        return f"{self.label}, fold {self.fold}"

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return self.name.replace(" %", "").replace(",", "").replace(" ", "_")


@cache
def most_macs(share: float) -> float:
    """MACs of a share of ResNet-110."""
    with torch.device("meta"):
        network = build(ModelSpec("resnet110", BANDS, CLASSES, PX))
    return share * count(network, BANDS, PX).macs


def config_of(options: argparse.Namespace, job: Job) -> RunConfig:
    """Make the config of a job."""
    recipe, split = find_recipe(), options.data / f"find_{job.fold}.csv"
    data = DataConfig(str(options.data), downsample=2, split="csv", split_csv=str(split), train_patches=options.patches)
    return replace(
        recipe,
        data=data,
        space=SPACE,
        search=replace(recipe.search, max_macs=most_macs(job.share)),
        train=replace(recipe.train, epochs=EPOCHS, validate_every=0),
        machine=MachineConfig(device="cpu", threads=1, precision=options.precision),
        seed=job.fold,
    )


def setting_of(options: argparse.Namespace, job: Job) -> Setting:
    """Make the setting of a find, or of its control."""
    config = config_of(options, job)
    searches = 0 if job.method == CHANCE else None
    choice = FindConfig(hours=options.hours, folds=FOLDS - 1, searches=searches, ensemble=False)
    return Setting.of(config, choice, open_dataset(config.data), options.processes)


def plan_of(options: argparse.Namespace, job: Job) -> TimedPlan:
    """Read the plan of a method and share, or make it; the winner's training has as many epochs as all others."""
    file = options.out / f"plan_{job.method.replace(' ', '_')}_{100 * job.share:g}.json"
    name, results = f"plan of {job.label}", options.out / RESULTS
    kept = next((line["plan"] for line in whole_lines(results) if line["name"] == name), None)
    if kept is not None:
        write_json(file, kept)
    else:
        timed = plan_for(setting_of(options, job._replace(fold=1)), time.perf_counter())
        replace(timed, plan=replace(timed.plan, epochs=EPOCHS)).write(file)
        add_lines(results, [{"name": name, "plan": read_json(file, "remove it")}])
    timed = TimedPlan.read(file)
    if timed.hours != options.hours:
        raise SystemExit(f"{file}: is for {timed.hours:g} h; give --hours {timed.hours:g}, or choose another folder")
    return timed


def search(options: argparse.Namespace, job: Job) -> Line:
    """Run a find."""
    folder = options.out / job.folder
    found = run_find(setting_of(options, job), plan_of(options, job), folder, resume=True, listener=Silent())
    genotype = found.candidates[found.winner]
    about = {"origin": genotype.origin, "genotype": genotype.genotype.to_values()}
    return described(options, job, found.evaluation) | about | {"wall_seconds": sum(seconds_of(folder).values())}


def train(options: argparse.Namespace, job: Job) -> Line:
    """Train a network that needs no search."""
    torch.set_num_threads(1)
    config, folder = config_of(options, job), options.out / job.folder
    data = open_dataset(config.data)
    model = GUESSES[job.share] if job.method == GUESS else job.method
    train_stage(config, folder, model, resume=True, listener=Silent(), data=data)
    return described(options, job, evaluate_stage(folder, data=data))


def described(options: argparse.Namespace, job: Job, found: Evaluation) -> Line:
    """Make the line of a finished job."""
    about = {"name": job.name, "method": job.label, "fold": job.fold, "oa": found.measures.oa, "aa": found.measures.aa}
    about |= {"n": found.n, "macs": found.macs, "parameters": found.parameters}
    return about | {"epochs": EPOCHS, "patches": options.patches, "precision": options.precision}


def jobs(fold: int, shares: Sequence[float]) -> Iterator[Job]:
    """Yield the jobs of a fold."""
    for share in shares:
        yield from (Job(method, share, fold) for method in (FIND, CHANCE, GUESS))
    yield from (Job(name, 0.0, fold) for name in RESNETS)


def run(options: argparse.Namespace) -> None:
    """Do what is left: fold after fold, the finds one after the other, the other trainings side by side."""
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / RESULTS
    done = {line["name"] for line in whole_lines(file)}
    for share in options.shares:
        for method in (FIND, CHANCE):
            plan_of(options, Job(method, share, 1))

    def finish(line: Line) -> None:
        add_lines(file, [line])
        print(f"{time.strftime('%H:%M:%S')} {line['name']}: {100 * line['oa']:.2f} %", flush=True)

    for fold in options.folds:
        left = [job for job in jobs(fold, options.shares) if job.name not in done]
        for job in left:
            if job.method in (FIND, CHANCE):
                finish(search(options, job))
        with ProcessPoolExecutor(options.processes, fresh_processes(__name__)) as pool:
            plain = [pool.submit(train, options, job) for job in left if job.method not in (FIND, CHANCE)]
            for future in as_completed(plain):
                finish(future.result())


def table(lines: Sequence[Line]) -> str:
    """Accuracy of each method over the folds, and differences in pairs, with t intervals over the folds."""
    oas: dict[str, dict[int, float]] = {}
    finished = [line for line in lines if "oa" in line]
    for line in finished:
        oas.setdefault(line["method"], {})[line["fold"]] = 100 * line["oa"]
    macs = {line["method"]: line["macs"] / 1e6 for line in finished}
    rows = ["| method | folds | M MACs | OA % | by fold |", "|---" * 5 + "|"]
    for method, own in oas.items():
        values = [own[fold] for fold in sorted(own)]
        spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
        each = ", ".join(f"{value:.2f}" for value in values)
        rows.append(f"| {method} | {len(own)} | {macs[method]:.1f} | {fmean(values):.2f}{spread} | {each} |")
    compared = [
        (one, other)
        for one in oas
        if one.startswith(FIND)
        for other in (CHANCE + one.removeprefix(FIND), GUESS + one.removeprefix(FIND), *RESNETS)
    ]
    return "\n".join([*rows, "", *difference_rows(oas, compared)])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that scripts/eurosat_folder.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs, outside the checkout")
    parser.add_argument("--shares", nargs="+", type=float, default=list(SHARES), choices=SHARES)
    parser.add_argument("--folds", nargs="+", type=int, default=list(range(1, FOLDS + 1)))
    parser.add_argument("--hours", type=float, default=0.4, help="hours of a find")
    parser.add_argument("--patches", type=int, default=8000, help="training patches, drawn by class")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--precision", default="bf16-mixed", help="as machine.precision")
    parser.add_argument("--table", action="store_true", help="only print the table of the results so far")
    options = parser.parse_args()
    if not options.table:
        if options.data is None:
            parser.error("--data: name the folder that scripts/eurosat_folder.py wrote")
        run(options)
    print(table(whole_lines(options.out / RESULTS)))


if __name__ == "__main__":
    main()
