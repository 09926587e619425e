"""What a training step costs on a GPU as it is, and as the CUDA graph that a training replays in its place.

    python benchmarks/replays.py --json replays.json

Two ResNets and a network found, on patches of 32 px and 3 bands, 64 to a batch, in bfloat16: the milliseconds of a step
(mean of 80 after 80, median of the rounds, which take turns), and the largest difference of the first 12 losses.
Without CUDA there is nothing to measure, and it says so.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from kept import load_genotype

from compactnas.config import MachineConfig, TrainConfig
from compactnas.data import ArraySource, Facts, Source
from compactnas.data.device_cache import on_device
from compactnas.nn.registry import SEARCHED, ModelSpec, build
from compactnas.training import cuda_graph as replay
from compactnas.training.runtime import make_fabric
from compactnas.training.trainer import Training

CLASSES, BANDS, PX, STEPS, SEEN = 10, 3, 32, 80, 12
RESULTS = Path(__file__).parent.parent / "results" / "beyond.jsonl"
NETWORKS = {"resnet20": "", "resnet110": "", "found at 8 %": "train_8_percent_on_spatial_seed_0"}
"""Networks by name: empty for a baseline, else the name of a line of `RESULTS` with a genotype."""


GPU = MachineConfig(device="cuda", threads=1, precision="bf16-mixed")


def noise(patches: int) -> ArraySource:
    """Patches of noise: a step costs the same on any."""
    rng = np.random.default_rng(0)
    labels = rng.integers(CLASSES, size=patches)
    images = rng.random((len(labels), BANDS, PX, PX), np.float32) + labels[:, None, None, None] / CLASSES
    facts = Facts("noise", tuple("RGB"), tuple(map(str, range(CLASSES))), PX, labels)
    return ArraySource(facts, images)


def steps(
    name: str, *, replayed: bool, machine: MachineConfig = GPU, count: int = STEPS, batch: int = 64
) -> tuple[float, list[float]]:
    """Milliseconds of a step, and the first losses."""
    fabric, patches = make_fabric(machine), noise(batch * count)
    source: Source = on_device(patches, fabric.device) if machine.data_on_device else patches
    rows, losses = np.arange(batch * count), []
    genotype = load_genotype(RESULTS, NETWORKS[name]) if NETWORKS[name] else None
    spec = ModelSpec(SEARCHED if genotype else name, BANDS, CLASSES, PX, genotype)
    torch.manual_seed(0)
    config = TrainConfig(epochs=100, batch_size=batch, learning_rate=0.1, augment="dihedral", validate_every=0)
    training = Training(build(spec), config, source, rows, rows[:0], 0, fabric, channels_last=machine.channels_last)
    with patch.object(replay, "WARM_UP", replay.WARM_UP if replayed else sys.maxsize):
        for epoch in range(2):
            began = time.perf_counter()
            for result in training.run_epoch(epoch):
                losses.append(result.means[0][1]["loss"].clone())
            if fabric.device.type == "cuda":
                torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - began) / count, [float(loss) for loss in losses[:SEEN]]


def main() -> int:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures by name")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("replays: CUDA graphs need CUDA, which is not here", file=sys.stderr)
        return 2
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}\n")
    print("| network | as it is, ms | replayed, ms | ratio | losses differ by |\n|---|---|---|---|---|")
    figures: dict[str, float] = {}
    for name in NETWORKS:
        times: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(options.rounds):
            first = {way: steps(name, replayed=way) for way in times}
            for way, (milliseconds, _) in first.items():
                times[way].append(milliseconds)
        apart = max(abs(a - b) for a, b in zip(first[False][1], first[True][1], strict=True))
        taken, played = (statistics.median(times[way]) for way in (False, True))
        print(f"| {name} | {taken:.2f} | {played:.2f} | {taken / played:.2f} | {apart:.1e} |")
        figures |= {f"{name}: taken_ms": taken, f"{name}: replayed_ms": played, f"{name}: ratio": taken / played}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
