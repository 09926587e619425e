"""How fast shuffled batches come from a packed set, beside what a loader could do instead.

    python benchmarks/loading.py --json loading.json

A file in So2Sat's layout (both sensors, contiguous float64) is made in a temporary folder and packed;
then, in turn in one process, page cache warm, shuffled batches of 256, in patches a second:

    packed             stored numbers of the packed set, one vectorised read a batch
    packed_normalised  float32 batches, decoded, turned and flipped, normalised: what a training step gets
    open_per_sample    the file opened at each sample, both sensors read, as TorchGeo's reader does it
    read_per_sample    the file opened once, the same data set read a patch at a time
    numpy_gather       a numpy gather of the same bytes from an array in memory
    resnet8_forward    what the smallest baseline's forward pass takes in
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from compactnas.config import DataConfig, MachineConfig
from compactnas.data import open_streamed
from compactnas.data.batches import Batches
from compactnas.data.formats.packed import PackedSource
from compactnas.data.packing.pack import prepare
from compactnas.nn.baselines import BASELINES
from compactnas.nn.normalise import Normalise
from compactnas.training.runtime import make_fabric

BATCH, CLASSES = 256, 17
KINDS = ("packed", "packed_normalised", "open_per_sample", "read_per_sample", "numpy_gather", "resnet8_forward")


def make_file(path: Path, patches: int) -> None:
    """Random reflectance in So2Sat's layout."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for sensor, bands in (("sen1", 8), ("sen2", 10)):
            pixels = file.create_dataset(sensor, (patches, 32, 32, bands), "float64")
            for start in range(0, patches, 1000):
                size = min(1000, patches - start)
                pixels[start : start + size] = rng.integers(1, 9000, (size, 32, 32, bands)) / 10000
        file["label"] = np.eye(CLASSES)[np.arange(patches) % CLASSES]


def samplewise(read: Callable[[int], tuple[Any, Any]], rows: np.ndarray) -> None:
    """A batch of samples one by one, as a collating loader stacks them."""
    samples = [read(int(row)) for row in rows]
    torch.stack([torch.from_numpy(image) for image, _ in samples])
    torch.tensor([label for _, label in samples])


def contest(folder: Path, patches: int, rounds: int) -> dict[str, list[float]]:
    """Patches a second of each kind in each round."""
    make_fabric(MachineConfig(device="cpu"))  # sets the process up as a run's is
    path = folder / "training.h5"
    make_file(path, patches)
    packed = open_streamed(DataConfig(str(prepare(DataConfig(str(path)), folder / "packed"))))
    assert isinstance(packed, PackedSource)
    in_memory = np.array(packed.stored)
    opened = h5py.File(path, "r")
    net = BASELINES["resnet8"].build(10, CLASSES).eval().to(memory_format=torch.channels_last)
    normalise = Normalise(10).eval()
    normalise.set([0.45] * 10, [0.26] * 10)
    rng = np.random.default_rng(1)

    def open_one(row: int) -> tuple[Any, Any]:
        with h5py.File(path, "r") as file:
            one, two, label = file["sen1"][row], file["sen2"][row], file["label"][row]
        both = np.concatenate([one, two], -1).astype(np.float32).transpose(2, 0, 1)
        return both, int(label.argmax())

    def read_one(row: int) -> tuple[Any, Any]:
        image = opened["sen2"][row].astype(np.float32).transpose(2, 0, 1)
        return image, int(opened["label"][row].argmax())

    def normalised(batches: int) -> int:
        source = Batches(
            packed, np.arange(patches), BATCH, seed=int(rng.integers(1 << 30)), stream=0, augment="dihedral"
        )
        done = 0
        for number, (images, _) in enumerate(source.epoch(0)):
            done += len(normalise(images))
            if number + 1 == batches:
                break
        return done

    def each(work: Callable[[np.ndarray], object]) -> Callable[[int], int]:
        def run(batches: int) -> int:
            for _ in range(batches):
                work(rng.integers(0, patches, BATCH))
            return batches * BATCH

        return run

    images = torch.randn(BATCH, 10, 32, 32).to(memory_format=torch.channels_last)

    def forward(batches: int) -> int:
        with torch.inference_mode():
            for _ in range(batches):
                net(images)
        return batches * BATCH

    kinds: dict[str, tuple[Callable[[int], int], int]] = {
        "packed": (each(packed.gather), 40),
        "packed_normalised": (normalised, 12),
        "open_per_sample": (each(lambda rows: samplewise(open_one, rows)), 1),
        "read_per_sample": (each(lambda rows: samplewise(read_one, rows)), 4),
        "numpy_gather": (each(lambda rows: in_memory[rows]), 40),
        "resnet8_forward": (forward, 8),
    }
    found: dict[str, list[float]] = {name: [] for name in KINDS}
    for round_ in range(-1, rounds):
        for name, (run, batches) in kinds.items():
            began = time.perf_counter()
            done = run(batches)
            if round_ >= 0:  # the first one warms the cache
                found[name].append(done / (time.perf_counter() - began))
    opened.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", type=int, default=12_000, help="of the file that is made, 147 kB each")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--scratch", type=Path, help="where the temporary folder is made")
    parser.add_argument("--json", type=Path, help="write the figures by name")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        found = contest(Path(folder), arguments.patches, arguments.rounds)
    rates = {name: statistics.median(values) for name, values in found.items()}
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {arguments.rounds} rounds, patches a second")
    print("| | median | least - greatest | packed / it | packed_normalised / it |\n|---|---|---|---|---|")
    for name, values in found.items():
        ratios = f"{rates['packed'] / rates[name]:.2f} | {rates['packed_normalised'] / rates[name]:.2f}"
        print(f"| {name} | {rates[name]:.0f} | {min(values):.0f} - {max(values):.0f} | {ratios} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(rates, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
