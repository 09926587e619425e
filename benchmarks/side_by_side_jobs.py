"""The jobs of a study side by side on the cores of this machine, against one after the other.

    python benchmarks/side_by_side_jobs.py --json jobs.json

Eight trainings of ResNet-8 and ResNet-20 on a synthetic world, by `compactnas study`: one at a time with one thread,
one at a time with all threads, and as many at a time as there are cores, with one thread each. The three ways take
turns. The files of the first and the last have the same bytes, which is checked; wall times and checkpoints do not
count.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml

from compactnas.runs.checkpoints import PATTERN
from compactnas.synthetic import write_world

UNEQUAL = ("seconds.json", ".writer")


def write_study(folder: Path, epochs: int, threads: int) -> Path:
    """Write the study's file."""
    values: dict[str, Any] = {
        "recipe": "quick",
        "data": {"path": str(folder / "world")},
        "search_split": "official",
        "splits": ["official"],
        "methods": [],
        "random": False,
        "random_search": False,
        "baselines": ["resnet8", "resnet20"],
        "retrainings": 4,
        "train": {"epochs": epochs},
        "machine": {"device": "cpu", "threads": threads},
    }
    file = folder / f"threads{threads}.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def run(*words: str | Path) -> float:
    """Run a command with all cores, and return its wall time in seconds."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "compactnas", *words], check=True, capture_output=True, env=environment)
    return time.perf_counter() - began


def results(root: Path) -> dict[str, bytes]:
    """Return the files of all jobs."""
    files = [file for file in (root / "jobs").rglob("*") if file.is_file() and not file.match(PATTERN)]
    return {str(file.relative_to(root)): file.read_bytes() for file in files if file.name not in UNEQUAL}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--patches", type=int, default=2400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures by name")
    arguments = parser.parse_args()
    cores = torch.get_num_threads()
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_world(folder / "world", cities=6, test_cities=3, patches=arguments.patches, scene_px=320)
        ways = {
            "one job, one thread": (1, 1),
            f"one job, {cores} threads": (1, cores),
            f"{cores} jobs, one thread each": (cores, 1),
        }
        for number in range(arguments.rounds):
            for way, (processes, threads) in ways.items():
                study, out = write_study(folder, arguments.epochs, threads), folder / f"{processes} {threads} {number}"
                took = run("study", study, "-o", out, "--processes", str(processes))
                seconds.setdefault(way, []).append(took)
            assert results(folder / f"1 1 {number}") == results(folder / f"{cores} 1 {number}"), "other bytes"
    first, *_ = seconds.values()
    print("| way | wall s, median (all) | times as fast as the first |\n|---|---|---|")
    for way, times in seconds.items():
        gains = [one / other for one, other in zip(first, times, strict=True)]
        each = ", ".join(f"{one:.1f}" for one in times)
        print(f"| {way} | {statistics.median(times):.1f} ({each}) | {statistics.median(gains):.2f} |")
    print("same bytes: the first and the last way")
    if arguments.json:
        arguments.json.write_text(json.dumps({"cores": cores, "seconds": seconds}, indent=1) + "\n")


if __name__ == "__main__":
    main()
