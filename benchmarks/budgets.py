"""Budgets that are met: searches to several limits of MACs, of parameters and of latency, and what was found.

    python benchmarks/budgets.py --json budgets.json

Each search is short (some 50 steps on made patches of 10 x 32 x 32, 17 classes), since what is asked here is whether
the limit holds, not what the network is worth. Latency is that of one patch on one thread: the table is measured first,
then each network that was found and ResNet-8 as the reference beside it, five times in turn; medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from compactnas.config import DataConfig, MachineConfig, RunConfig, SearchConfig
from compactnas.cost.counter import genotype_cost
from compactnas.cost.latency_table import LatencyTable
from compactnas.exporting.latency import LatencyEngine, make_call, measure_latency, timed
from compactnas.nn.network import Network
from compactnas.nn.registry import ModelSpec, build
from compactnas.pipeline.running import search_stage
from compactnas.space.genotype import Genotype
from compactnas.space.search_space import Space
from compactnas.training.runtime import Silent

SIZES = {"bands": 10, "classes": 17, "patch_px": 32}
TARGETS = {"max_macs": (10e6, 15e6, 20e6, 30e6, 40e6), "max_parameters": (80e3, 95e3, 120e3, 160e3, 200e3)}
LATENCIES = (0.15, 0.3, 0.5, 0.7, 0.9)
"""Where the budgets lie between the fixed parts and twice the median network of the space."""
RUNS = 5


class Heard(Silent):
    """Keeps what the user would be told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def warn(self, text: str) -> None:
        """Keep it."""
        self.said.append(text)


def write_patches(file: Path) -> None:
    """Patches whose class is the ratio of two bands."""
    rng, labels = np.random.default_rng(0), np.arange(1020) % SIZES["classes"]
    images = rng.normal(0.3, 0.05, (len(labels), 10, 32, 32)).astype(np.float32)
    images[:, 0] += labels[:, None, None] / 50
    np.savez(file, images=images, labels=labels)


def search(data: Path, where: Path, space: Space, **budget: Any) -> tuple[Genotype, list[str], list[dict[str, Any]]]:
    """One short search: what it found, said, and its epochs."""
    settings = SearchConfig(epochs=4, batch_size=32, alpha_learning_rate=0.05, initial_depth=2, **budget)
    config = RunConfig(
        data=DataConfig(path=str(data), split="random"),
        space=space,
        search=settings,
        machine=MachineConfig(device="cpu", threads=1),
    )
    heard = Heard()
    found = search_stage(config, where, listener=heard)
    rows = [json.loads(line) for line in (where / "search" / "metrics.jsonl").read_text().splitlines()]
    return found, [text for text in heard.said if text.startswith("budget")], rows


def counted(data: Path, where: Path, space: Space) -> list[dict[str, Any]]:
    """MACs and parameters."""
    found = []
    for option, targets in TARGETS.items():
        for most in targets:
            genotype, said, rows = search(data, where / f"{option}-{most:.0f}", space, **{option: most})
            cost = genotype_cost(genotype, **SIZES)
            used = cost.macs if option == "max_macs" else cost.parameters
            row = {"budget": option, "most": most, "used": used, "share": used / most, "said": said}
            row["multiplier"] = rows[-1]["multipliers"][0]
            print(
                f"{option} {most:,.0f}: {used:,} = {100 * used / most:.1f} %{''.join(f' ({s})' for s in said)}",
                flush=True,
            )
            found.append(row)
    return found


def timely(data: Path, where: Path, space: Space, engine: LatencyEngine) -> tuple[LatencyTable, list[dict[str, Any]]]:
    """Latency: the table, and each network beside the reference."""
    table = measure_latency(space, **SIZES, engine=engine)
    file = where / "latency.json"
    table.write(file)
    costs = table.cost_table(space, space.max_depth, **SIZES)
    print(
        f"table: fixed {table.fixed_ns / 1e6:.3f} ms; {table.networks} networks predicted to "
        f"{100 * table.median_error:.1f} % (median), {100 * table.worst_error:.1f} % (worst)",
        flush=True,
    )
    middle = float(costs.operations.mean(dim=1).sum()) * 5 * (1 + space.max_depth) / 2
    found = []
    for share in LATENCIES:
        most = (table.fixed_ns + share * 2 * middle) / 1e6
        budget = {"max_latency_ms": most, "latency_table": str(file)}
        genotype, said, _ = search(data, where / f"latency-{share}", space, **budget)
        found.append(
            {"most_ms": most, "predicted_ms": costs.total(space, genotype) / 1e6, "said": said, "genotype": genotype}
        )
    reference = build(ModelSpec("resnet8", *SIZES.values(), None))
    shape = (1, SIZES["bands"], SIZES["patch_px"], SIZES["patch_px"])
    networks = [reference, *(Network(row["genotype"], SIZES["bands"], SIZES["classes"]) for row in found)]
    calls = [make_call(network, shape, engine, 1) for network in networks]
    runs = np.array([timed(calls, 5, lambda done: None) for _ in range(RUNS)]) * 1e3
    for place, row in enumerate(found):
        del row["genotype"]
        row["measured_ms"] = statistics.median(runs[:, place + 1])
        row["runs_ms"], row["resnet8_ms"] = runs[:, place + 1].tolist(), runs[:, 0].tolist()
        row["off"] = row["measured_ms"] / row["predicted_ms"] - 1
        print(
            f"max_latency_ms {row['most_ms']:.3f}: predicted {row['predicted_ms']:.3f}, "
            f"measured {row['measured_ms']:.3f} ({100 * row['off']:+.1f} %), "
            f"ResNet-8 beside it {np.median(runs[:, 0]):.3f}{''.join(f' ({s})' for s in row['said'])}",
            flush=True,
        )
    return table, found


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("onnx", "torch"), default="onnx")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    space = replace(Space(), max_depth=3)
    with tempfile.TemporaryDirectory(prefix="budgets-") as temporary:
        where = Path(temporary)
        write_patches(where / "patches.npz")
        rows = counted(where / "patches.npz", where, space)
        table, latencies = timely(where / "patches.npz", where, space, options.engine)
    if options.json:
        values = {"counted": rows, "latency": latencies, "error": [table.median_error, table.worst_error]}
        options.json.write_text(json.dumps(values, indent=2) + "\n")


if __name__ == "__main__":
    main()
