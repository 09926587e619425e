"""What each exchanged part of the lean layout gives, on real data: EuroSAT RGB at 32 px, places held out.

    python scripts/eurosat_folder.py NPZ DATA
    python benchmarks/parts.py --data DATA --out RUNS --cell results/beyond/cell.json --seeds 2

One cell in the paper's network, with one part of it exchanged, with the other, and with both; where a part saves
cost, the first channels are as many as fit into `--macs` again. Beside them ResNet-20 with and without half of its
stem normalised by each patch itself. Each is trained from scratch by the recipe `quick` on all 16,200 training patches
and measured on the 5,400 of the validation places; the test part is not read. Every job is a run folder and goes on
where it was stopped.
Not So2Sat: nothing here can be compared with the paper's accuracies.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, takewhile
from pathlib import Path
from typing import Any
from unittest.mock import patch

from side_by_side import add_job_options, do_as_asked, run_side_by_side

from compactnas import baselines, space
from compactnas.config import DataConfig, MachineConfig, quick
from compactnas.cost import genotype_cost
from compactnas.genotype import Genotype
from compactnas.loop import Silent
from compactnas.operations import HalfInstanceNorm, final_norm
from compactnas.pipeline import evaluate_stage, train_stage
from compactnas.space import LAYOUTS

LEAN = LAYOUTS["lean"]
NETWORKS = {
    "the paper's network": LAYOUTS["paper"],
    "separable reductions": replace(LEAN, stem="batch"),
    "half of the stem by each patch": replace(LEAN, reduction="basic"),
    "both: lean": LEAN,
}


class HalfStem(baselines.ResNet):
    """A ResNet with such a stem."""

    def __init__(self, bands: int, classes: int, *, n: int) -> None:
        super().__init__(bands, classes, n=n)
        self.stem[1] = HalfInstanceNorm(16, final_norm)


RESNETS = {
    "ResNet-20": partial(baselines.ResNet, n=3),
    "ResNet-20, half of the stem by each patch": partial(HalfStem, n=3),
}


@dataclass(frozen=True)
class Job:
    """One training."""

    row: str
    seed: int

    @property
    def name(self) -> str:
        """Its folder."""
        return f"{self.row.replace(' ', '_').replace(',', '').replace(':', '')}-{self.seed}"


def within(cell: Genotype, macs: float, bands: int, classes: int) -> Genotype:
    """The cell in the lean layout, with as many first channels as cost no more."""
    widths = (replace(cell, channels=channels, layout="lean") for channels in count(2))
    *_, widest = takewhile(lambda genotype: genotype_cost(genotype, bands, classes, 32).macs <= macs, widths)
    return widest


def work(job: Job, options: argparse.Namespace) -> None:
    """Train and measure in this process, as far as it is not done yet."""
    recipe = quick()
    config = replace(
        recipe,
        data=DataConfig(path=str(options.data), split="csv", split_csv=str(options.data / options.split), reduce=2),
        train=replace(recipe.train, epochs=options.epochs, validate_every=0),
        machine=MachineConfig(device="cpu", threads=1, precision=options.precision),
        seed=job.seed,
    )
    folder = options.out / job.name
    searched = job.row in NETWORKS
    exchanged: dict[str, Any] = space.LAYOUTS if searched else baselines.BASELINES
    part = {"lean": NETWORKS[job.row]} if searched else {"resnet20": RESNETS[job.row]}
    with patch.dict(exchanged, part):
        model = within(Genotype.load(options.cell), options.macs, 3, 10) if searched else "resnet20"
        train_stage(config, folder, model, resume=True, listener=Silent())
        found = evaluate_stage(folder, part="validation")
    figures = {"oa": found.measures.oa, "n": found.n, "macs": found.macs, "parameters": found.parameters}
    (folder / "parts.json").write_text(json.dumps(figures) + "\n", encoding="utf-8")


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """All of them, seed by seed."""
    for seed in range(options.seeds):
        for row in (*NETWORKS, *RESNETS):
            yield Job(row, seed)


def run_all(options: argparse.Namespace) -> None:
    """Run what is not done yet, some jobs at once."""
    left = [job for job in jobs(options) if not (options.out / job.name / "parts.json").exists()]

    def command(job: Job) -> list[str]:
        return [sys.executable, __file__, *sys.argv[1:], "--job", job.name]

    run_side_by_side(left, lambda job: True, command, options.at_once)


def results(options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """What is done: row, one entry a seed."""
    found: dict[str, list[dict[str, float]]] = {}
    for job in jobs(options):
        file = options.out / job.name / "parts.json"
        if file.exists():
            found.setdefault(job.row, []).append(json.loads(file.read_text(encoding="utf-8")))
    return found


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """In Markdown."""
    lines = ["| network | validation places % | each | M MACs | M parameters |", "|---|---|---|---|---|"]
    for row, runs in found.items():
        each = [100 * run["oa"] for run in runs]
        cost = f"{runs[0]['macs'] / 1e6:.2f} | {runs[0]['parameters'] / 1e6:.4f}"
        lines.append(f"| {row} | {statistics.mean(each):.2f} | {', '.join(f'{oa:.2f}' for oa in each)} | {cost} |")
    return "\n".join(lines)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_job_options(parser)
    parser.add_argument("--split", default="split_spatial.csv", help="file in it that says which patches are for what")
    parser.add_argument(
        "--cell", type=Path, required=True, help="a genotype, of which the cell and the depths are taken"
    )
    parser.add_argument("--macs", type=float, default=20.2e6, help="that no searched network takes more than")
    parser.add_argument("--epochs", type=int, default=12, help="of each training")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each row, with seeds from 0")
    parser.add_argument("--precision", default="bf16-mixed", help="as machine.precision")
    options = parser.parse_args()
    do_as_asked(
        options,
        jobs(options),
        lambda job: work(job, options),
        lambda: run_all(options),
        lambda: results(options),
        table,
    )


if __name__ == "__main__":
    main()
