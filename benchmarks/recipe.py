"""What each part of the strong recipe gives, on real data: EuroSAT RGB at 32 px, 4,000 training patches, spatial split.

    python scripts/eurosat_folder.py NPZ DATA
    python benchmarks/recipe.py --data DATA --out RUNS --networks resnet110 found=RUN --seeds 2
    python benchmarks/recipe.py --data DATA --out RUNS --networks resnet110 found=RUN --seeds 2 --table
    python benchmarks/recipe.py --data DATA --out UNEVEN --networks resnet110 found=RUN --seeds 2 --uneven

Every row is a training from scratch of as many epochs; `turned` stands for the recipe `quick`, and the others say in
what they differ from it. All are measured on the 5,400 patches of the validation places; the test part is not read. A
row with a teacher waits for `turned` of the first network, whose seed 0 teaches. Classes are equally frequent there, so
that drawing them evenly changes nothing: `--uneven` trains on 3,985 patches of which the most frequent class has ten
times as many as the rarest. Every job is a run folder and goes on where it was stopped.
Not So2Sat: nothing here can be compared with the paper's accuracies.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from side_by_side import add_job_options, do_as_asked, folder_name, run_side_by_side

BASE = "turned"
ROWS: dict[str, dict[str, Any]] = {
    "the paper's": {"augment": "none"},
    BASE: {},
    "label smoothing 0.1": {"label_smoothing": 0.1},
    "mixup 0.2": {"mixup": 0.2},
    "CutMix 1": {"cutmix": 1.0},
    "averaged weights 0.99": {"ema_decay": 0.99},
    "a teacher": {"teachers": (), "teacher_weight": 0.5},
    "smoothing and averaged weights": {"label_smoothing": 0.1, "ema_decay": 0.99},
}
"""The fields of `train` in which each row differs; turns and flips belong to all but the first."""
UNEVEN_ROWS: dict[str, dict[str, Any]] = {
    BASE: {},
    "classes drawn half as unevenly": {"balance": 0.5},
    "classes drawn evenly": {"balance": 1.0},
}
TURNS = (BASE, "smoothing and averaged weights")
"""Rows that are measured by the mean over the 8 symmetries of the square too."""


@dataclass(frozen=True)
class Job:
    """One training of a network."""

    network: str
    row: str
    seed: int

    @property
    def name(self) -> str:
        """Its folder."""
        return f"{self.network}/" + folder_name(f"{self.row}-{self.seed}")


def rows_of(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The rows that are asked for."""
    return UNEVEN_ROWS if options.uneven else ROWS


def teacher(options: argparse.Namespace) -> Path:
    """Folder of the network that teaches: the first one's, seed 0."""
    folder: Path = options.out / Job(options.networks[0][0], BASE, 0).name
    return folder


def work(job: Job, options: argparse.Namespace) -> None:
    """Train and measure in this process, as far as it is not done yet."""
    from compactnas.config import DataConfig, MachineConfig, quick
    from compactnas.pipeline.evaluating import evaluate_stage
    from compactnas.pipeline.running import train_stage
    from compactnas.training.runtime import Silent

    fields, networks = dict(rows_of(options)[job.row]), dict(options.networks)
    if "teachers" in fields:
        fields["teachers"] = (str(teacher(options)),)
    recipe, split = quick(), "split_spatial_uneven.csv" if options.uneven else "split_spatial_chosen.csv"
    config = replace(
        recipe,
        data=DataConfig(path=str(options.data), split="csv", split_csv=str(options.data / split), downsample=2),
        train=replace(recipe.train, epochs=options.epochs, validate_every=0, **fields),
        machine=MachineConfig(device="cpu", threads=1, precision=options.precision),
        seed=job.seed,
    )
    folder = options.out / job.name
    train_stage(config, folder, networks[job.network], resume=True, listener=Silent())
    plain = evaluate_stage(folder, part="validation")
    figures = {
        "plain": plain.measures.oa,
        "classes": plain.measures.aa,
        "n": plain.n,
        "macs": plain.macs,
        "parameters": plain.parameters,
    }
    if job.row in TURNS:
        figures["turns"] = evaluate_stage(folder, part="validation", tta=True).measures.oa
    (folder / "ablation.json").write_text(json.dumps(figures) + "\n")


def jobs(options: argparse.Namespace) -> Iterator[Job]:
    """All of them; what a row needs stands before it."""
    for seed in range(options.seeds):
        for row in rows_of(options):
            for name, _ in options.networks:
                yield Job(name, row, seed)


def ready(job: Job, options: argparse.Namespace) -> bool:
    """Whether the teacher is there that a job needs."""
    return "teachers" not in rows_of(options)[job.row] or (teacher(options) / "ablation.json").exists()


def run_all(options: argparse.Namespace) -> None:
    """Run what is not done yet, some jobs at once."""
    left = [job for job in jobs(options) if not (options.out / job.name / "ablation.json").exists()]
    left = [job for job in left if options.only in ("", job.network)]

    def command(job: Job) -> list[str]:
        return [sys.executable, __file__, *sys.argv[1:], "--job", job.name]

    run_side_by_side(left, lambda job: ready(job, options), command, options.at_once)


def results(options: argparse.Namespace) -> dict[str, dict[str, list[dict[str, float]]]]:
    """What is done: network, row, one entry a seed."""
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for job in jobs(options):
        file = options.out / job.name / "ablation.json"
        if file.exists():
            found.setdefault(job.network, {}).setdefault(job.row, []).append(json.loads(file.read_text()))
    return found


def table(found: dict[str, dict[str, list[dict[str, float]]]], options: argparse.Namespace) -> str:
    """In Markdown; the gain is the mean over the seeds that the row and `turned` have."""
    key, beside = ("classes", "mean of the classes") if options.uneven else ("turns", "8 turns")
    lines = [
        "| | " + " | ".join(f"{name} | gain | {beside}" for name in found) + " |",
        "|---" * (1 + 3 * len(found)) + "|",
    ]
    for row in rows_of(options):
        cells = []
        for rows in found.values():
            own = [run["plain"] for run in rows.get(row, [])]
            base = [run["plain"] for run in rows.get(BASE, [])]
            other = [run[key] for run in rows.get(row, []) if key in run]
            gains = [mine - theirs for mine, theirs in zip(own, base, strict=False)]
            gain = f"{100 * statistics.mean(gains):+.2f}" if gains else "-"
            cells += [_spread(own), gain, _spread(other)]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    text = f"{100 * statistics.mean(values):.2f}"
    return text if len(values) == 1 else f"{text} ({100 * min(values):.2f} to {100 * max(values):.2f})"


def _network(text: str) -> tuple[str, str]:
    name, _, model = text.partition("=")
    return name, model or name


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_job_options(parser)
    parser.add_argument("--networks", type=_network, nargs="+", required=True, help="baselines, or NAME=FILE or RUN")
    parser.add_argument("--epochs", type=int, default=12, help="of each training")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each row, with seeds from 0")
    parser.add_argument("--precision", default="32-true", help="as machine.precision")
    parser.add_argument("--uneven", action="store_true", help="what drawing classes evenly gives where they are not")
    parser.add_argument("--only", default="", help="run the jobs of this network alone")
    options = parser.parse_args()
    do_as_asked(
        options,
        jobs(options),
        lambda job: work(job, options),
        lambda: run_all(options),
        lambda: results(options),
        lambda found: table(found, options),
    )


if __name__ == "__main__":
    main()
