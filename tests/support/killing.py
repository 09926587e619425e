"""Commands that tests kill, and the files that must not differ."""

from __future__ import annotations

import sys
from pathlib import Path

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
    words = ["run", "--recipe", "paper", "--data.path", str(data), "--out", str(folder), *OPTIONS.split(), *more]
    return [sys.executable, "-m", "compactnas", *words]
