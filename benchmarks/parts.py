"""What limits a searched network, part by part, on real data: EuroSAT RGB at 32 px, places held out.

    python scripts/eurosat_folder.py NPZ DATA
    python benchmarks/kept.py show results/beyond_trials.jsonl parts genotype > cell.json
    python benchmarks/parts.py --data DATA --out RUNS --cell cell.json --seeds 2

One cell in the paper's network, with one part of the lean layout, with the other, and with both; then in the lean
layout with smaller kernels, with fewer first channels, and with attention to the bands. Where a part saves cost,
the first channels are as many as fit into `--macs` again. Beside them ResNet-20 with and without half of its stem
normalised by each patch itself. Each is trained from scratch by the recipe of `examples/beyond.yaml`, for fewer
epochs, on all 16,200 training patches and measured on the 5,400 of the validation places; the test part is not
read. Every job is a run folder and goes on where it was stopped.
Not So2Sat: nothing here can be compared with the paper's accuracies.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, takewhile
from pathlib import Path
from unittest.mock import patch

import torch
from side_by_side import add_job_options, do_as_asked, folder_name, run_side_by_side
from torch import nn

from compactnas.config import DataConfig, MachineConfig, quick
from compactnas.cost.counter import genotype_cost
from compactnas.nn import backbone
from compactnas.nn.baselines import BASELINES, Baseline
from compactnas.nn.baselines._resnet import ResNet
from compactnas.nn.normalise import Normalise, Patches
from compactnas.nn.norms import HalfInstanceNorm, final_norm
from compactnas.pipeline.evaluating import evaluate_stage
from compactnas.pipeline.running import train_stage
from compactnas.space.genotype import Genotype
from compactnas.space.layout import Layout
from compactnas.space.layouts import LAYOUTS
from compactnas.training.runtime import Silent

LEAN = LAYOUTS["lean"]


class BandAttention(Normalise):
    """Standardised bands, each times a gate that all bands' means and deviations over the patch decide on.

    Squeeze and excitation (Hu et al. 2018) of the input; every gate is one before the first step.
    """

    def __init__(self, bands: int) -> None:
        super().__init__(bands)
        self.gates = nn.Linear(2 * bands, bands)
        nn.init.zeros_(self.gates.weight)
        nn.init.zeros_(self.gates.bias)

    def forward(self, x: Patches) -> Patches:
        y = super().forward(x)
        deviation, mean = torch.std_mean(y, dim=(2, 3))
        gates = 2 * torch.sigmoid(self.gates(torch.cat([mean, deviation], dim=1)))
        return y * gates[:, :, None, None]


@dataclass(frozen=True)
class Part:
    """What a row has in the place of the lean layout's."""

    layout: Layout = LEAN
    kernels: Mapping[str, str] = field(default_factory=dict)
    channels: float = 1.0
    normalise: type[Normalise] = Normalise

    def of(self, cell: Genotype, macs: float) -> Genotype:
        """The cell with such kernels and as many first channels as cost no more, or this share of them."""
        nodes = tuple(tuple((self.kernels.get(name, name), source) for name, source in node) for node in cell.nodes)
        widths = (replace(cell, nodes=nodes, channels=channels, layout="lean") for channels in count(2))
        *_, widest = takewhile(lambda genotype: genotype_cost(genotype, 3, 10, 32).macs <= macs, widths)
        return replace(widest, channels=round(self.channels * widest.channels))


NETWORKS = {
    "the paper's network": Part(LAYOUTS["paper"]),
    "separable reductions": Part(replace(LEAN, stem="batch")),
    "half of the stem by each patch": Part(replace(LEAN, reduction="basic")),
    "both: lean": Part(),
    "lean, kernels of 3x3": Part(kernels={"sep_conv_5x5": "sep_conv_3x3", "dil_conv_5x5": "dil_conv_3x3"}),
    "lean, two thirds of the channels": Part(channels=2 / 3),
    "lean, attention to bands": Part(normalise=BandAttention),
}


class HalfStem(ResNet):
    """A ResNet that normalises half of its stem's channels in each patch by itself."""

    def __init__(self, bands: int, classes: int, *, n: int) -> None:
        super().__init__(bands, classes, n=n)
        self.stem[1] = HalfInstanceNorm(16, final_norm)


RESNETS = {
    "ResNet-20": partial(ResNet, n=3),
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
        return folder_name(f"{self.row}-{self.seed}")


@contextmanager
def exchanged(row: str) -> Iterator[None]:
    """Replace the part that the row changes."""
    if row in RESNETS:
        with patch.dict(BASELINES._entries, {"resnet20": Baseline(RESNETS[row], row)}):
            yield
    else:
        part = NETWORKS[row]
        with patch.dict(LAYOUTS._entries, {"lean": part.layout}), patch.object(backbone, "Normalise", part.normalise):
            yield


def work(job: Job, options: argparse.Namespace) -> None:
    """Train and measure in this process, as far as it is not done yet."""
    recipe = quick()
    train = replace(recipe.train, epochs=options.epochs, validate_every=0, learning_rate=0.1, weight_decay=1e-3)
    config = replace(
        recipe,
        data=DataConfig(path=str(options.data), split="csv", split_csv=str(options.data / options.split), downsample=2),
        train=train,
        machine=MachineConfig(device="cpu", threads=1, precision=options.precision),
        seed=job.seed,
    )
    folder = options.out / job.name
    with exchanged(job.row):
        searched = job.row in NETWORKS
        model = NETWORKS[job.row].of(Genotype.load(options.cell), options.macs) if searched else "resnet20"
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
