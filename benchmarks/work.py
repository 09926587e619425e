"""What the time of a training step goes with: multiply-accumulates, and elements of maps that cost as much.

    python benchmarks/work.py

Random search has to spend what a search spends, and a count that is the same on every machine has to stand for
the time (`compactnas.cost.counter.work`). Pools cost no multiply-accumulates, but time. Here are the processor times of
training steps of ResNets, of cells of pools and skips alone, and of random cells (median of 5 after 1), and the
number of multiply-accumulates that an element takes as long as, by least squares on relative errors. One thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from compactnas.config import MachineConfig
from compactnas.cost.counter import ELEMENT_MACS, count, count_elements
from compactnas.nn.registry import SEARCHED, ModelSpec, build
from compactnas.search.random_genotype import random_genotype
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space
from compactnas.training.runtime import make_fabric

BANDS, CLASSES, PX, BATCH, STEPS = 10, 17, 32, 64, 5


def networks() -> dict[str, nn.Module]:
    """What is timed, by name."""
    pools = (
        (("avg_pool_3x3", 0),),
        (("skip_connect", 0), ("max_pool_3x3", 1)),
        (("avg_pool_3x3", 0), ("skip_connect", 1)),
    )
    generator = torch.Generator().manual_seed(0)
    genotypes = {f"pools and skips, depth {d}": Genotype(pools, (d,) * 3, 16) for d in (1, 3)}
    genotypes |= {f"random cell {n}": random_genotype(Space(), generator) for n in range(5)}
    specs = {name: ModelSpec(name, BANDS, CLASSES, PX, None) for name in ("resnet8", "resnet20")}
    specs |= {name: ModelSpec(SEARCHED, BANDS, CLASSES, PX, genotype) for name, genotype in genotypes.items()}
    return {name: build(spec) for name, spec in specs.items()}


def step_seconds(network: nn.Module) -> float:
    """Processor time of one training step, the median."""
    network = network.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, fused=True)
    x = torch.rand(BATCH, BANDS, PX, PX).contiguous(memory_format=torch.channels_last)
    y, times = torch.randint(0, CLASSES, (BATCH,)), []
    for _ in range(STEPS + 1):
        began = time.process_time()
        optimizer.zero_grad()
        F.cross_entropy(network(x), y).backward()
        optimizer.step()
        times.append(time.process_time() - began)
    return statistics.median(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures by name")
    arguments = parser.parse_args()
    make_fabric(MachineConfig(device="cpu", threads=1))
    torch.manual_seed(0)
    found = {
        name: (count(network, BANDS, PX).macs, count_elements(network, BANDS, PX), step_seconds(network))
        for name, network in networks().items()
    }
    table = np.array(list(found.values()))
    counts, seconds = table[:, :2], table[:, 2]
    (per_mac, per_element), *_ = np.linalg.lstsq(counts / seconds[:, None], np.ones(len(seconds)), rcond=None)
    used = counts @ np.array([1.0, ELEMENT_MACS])
    rate = np.exp(np.mean(np.log(seconds / used)))
    print("| network | M MACs | M elements | step, s | by `work` / measured | by MACs alone |")
    print("|---|---|---|---|---|---|")
    alone = np.exp(np.mean(np.log(seconds / counts[:, 0])))
    for (name, (macs, elements, time_s)), by_work in zip(found.items(), rate * used / seconds, strict=True):
        by_macs = alone * macs / time_s
        print(f"| {name} | {macs / 1e6:.2f} | {elements / 1e6:.3f} | {time_s:.3f} | {by_work:.2f} | {by_macs:.2f} |")
    print(
        f"\nan element takes as long as {per_element / per_mac:.0f} multiply-accumulates here; used: {ELEMENT_MACS:.0f}"
    )
    if arguments.json:
        values = {name: dict(zip(("macs", "elements", "step_s"), row, strict=True)) for name, row in found.items()}
        arguments.json.write_text(json.dumps(values | {"element_macs": per_element / per_mac}, indent=2) + "\n")


if __name__ == "__main__":
    main()
