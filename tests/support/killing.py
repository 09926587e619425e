"""Commands for tests to kill, and the files that must not differ afterwards."""

from __future__ import annotations

from pathlib import Path

TRAINING = "--machine.threads 1 --machine.device cpu --train.epochs 6 --train.batch_size 8 --train.learning_rate 0.05"
OPTIONS = (
    f"{TRAINING} --space.channels 4 --space.max_depth 2 --space.nodes 3 --space.blocks 2 "
    "--search.initial_depth 2 --search.batch_size 8 --search.epochs 6 --search.alpha_learning_rate 0.05 "
    "--search.augment dihedral"
)


SAME = (
    "genotype.json",
    "search/metrics.jsonl",
    "search/alpha.json",
    "train/metrics.jsonl",
    "model.safetensors",
    "evaluation.json",
    "splits.npz",
)


def command(data: Path, folder: Path, *more: str) -> list[str]:
    words = ["run", "--recipe", "paper", "--data.path", str(data), "--output", str(folder), *OPTIONS.split(), *more]
    return ["-m", "compactnas", *words]
