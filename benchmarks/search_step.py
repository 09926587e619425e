"""One step of the search (weights, then architecture) beside its floor, a plain GDAS step and ResNet-20.

    python benchmarks/search_step.py --json search_step.json

Patches of 10 x 32 x 32, 17 classes, C = 16, 3 blocks of 3 cells, 4 nodes, 8 operations, all edges; the
paper's network, the NASNet-like one, and `mobile` with 3 layers behind each reduction. In turn in one process,
on the same draws:

    ours      `Searcher.weight_step` and `Searcher.alpha_step`
    floor     what the sampled path itself costs: the derived network of the same draw with the same
              operations and memory format, one whole step of SGD and one pass with frozen weights whose
              gradient reaches the output of every edge, but no alpha
    plain     GDAS in the published order of operations (`plain_gdas.py`)
    resnet20  one training step

Times are medians over the draws, ratios medians of each draw's ratio. Peak memory is that of a whole
process which takes three such steps and does nothing else. `--times` prints one line a draw.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plain_gdas import PlainGdas
from torch import Tensor, nn
from torch.nn import functional as F

from compactnas.config import MachineConfig, Precision, SearchConfig
from compactnas.data import Normalization
from compactnas.data.source import Facts
from compactnas.nn.backbone import Backbone
from compactnas.nn.baselines import BASELINES
from compactnas.nn.cell import CellPlan
from compactnas.nn.norms import candidate_norm, fixed_norm
from compactnas.nn.sample import Sample
from compactnas.search.searcher import SearchData, Searcher
from compactnas.space.search_space import Space
from compactnas.training.runtime import make_fabric, peak_memory_gib

BANDS, CLASSES, SIDE, DEPTH, TAU, RATE = 10, 17, 32, 3, 10.0, 0.025
LAYOUTS = ("paper", "nasnet", "mobile")
KINDS = ("ours", "floor", "plain", "resnet20")
Batch = tuple[Tensor, Tensor]
Step = Callable[[], None]


class Noise:
    """A source of random patches, for the shapes alone."""

    def __init__(self, patches: int, side: int) -> None:
        rng = np.random.default_rng(0)
        bands, classes = (tuple(f"{kind}{i}" for i in range(n)) for kind, n in (("band", BANDS), ("class", CLASSES)))
        self.facts = Facts("noise", bands, classes, side, rng.integers(CLASSES, size=patches))
        self.images = rng.normal(size=(patches, BANDS, side, side)).astype(np.float32)

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the noise."""
        return self.images[indices], self.facts.labels[indices]


def make_search(
    space: Space,
    batch: int,
    config: SearchConfig,
    *,
    side: int = SIDE,
    channels_last: bool = True,
    precision: Precision = "32-true",
) -> Searcher:
    """A search of these shapes on one batch of D_T and one of D_V, ready to step."""
    source = Noise(2 * batch, side)
    halves = np.arange(batch), np.arange(batch, 2 * batch)
    plain = Normalization((0.0,) * BANDS, (1.0,) * BANDS)
    fabric = make_fabric(MachineConfig(device="cpu", threads=torch.get_num_threads(), precision=precision))
    config = replace(config, batch_size=batch)
    return Searcher(space, config, SearchData(source, halves, plain), fabric, seed=0, channels_last=channels_last)


def batches(search: Searcher) -> tuple[Batch, Batch]:
    """The search's batch of D_T and its batch of D_V, unshuffled."""
    batch_t, batch_v = (
        tuple(map(torch.from_numpy, reader.source.batch(reader.indices)))
        for reader in (search.train_batches, search.alpha_batches)
    )
    return batch_t, batch_v


def stepper(search: Searcher) -> Step:
    """One step of the search, on the same two batches each time."""
    batch_t, batch_v = batches(search)

    def step() -> None:
        search.bilevel.weight_step(*batch_t, TAU, RATE)
        search.bilevel.alpha_step(*batch_v, TAU)

    return step


def gumbel(search: Searcher, seed: int) -> list[Tensor]:
    """The noise that the search will draw in its next step, for the weights and for alpha."""
    generator = torch.Generator().manual_seed(seed)
    search.bilevel.generator.manual_seed(seed)
    shape = search.architecture.alpha.shape
    return [-torch.empty(shape).exponential_(generator=generator).log() for _ in range(2)]


class Floor:
    """The derived networks of one draw, one for each half-step, with SGD for the weights."""

    def __init__(self, search: Searcher, noise: list[Tensor]) -> None:
        scores = [search.architecture.alpha.detach().log_softmax(dim=-1) + drawn for drawn in noise]
        self.nets = [self._network(search.space, drawn.argmax(dim=-1).tolist()) for drawn in scores]
        self.sgd = torch.optim.SGD(self.nets[0][0].parameters(), lr=RATE, momentum=0.9, weight_decay=3e-4, foreach=True)
        for p in self.nets[1][0].parameters():
            p.requires_grad_(False)
        for module in self.nets[1][0].modules():
            if isinstance(module, nn.ModuleList) and len(module) == 1 and not isinstance(module[0], nn.ModuleList):
                module[0].register_forward_hook(_reach)

    @staticmethod
    def _network(space: Space, path: list[int]) -> tuple[Backbone, Sample]:
        named = [(edge, space.operations[index]) for edge, index in zip(space.edges, path, strict=True)]
        kept = [(edge, name) for edge, name in named if name != "none"]
        edges, names = [edge for edge, _ in kept], [(name,) for _, name in kept]
        depths = (DEPTH,) * space.blocks
        layers = space.layers if space.layout_of.residual else None
        norms = {"norm": candidate_norm, "fixed": fixed_norm}
        plan = CellPlan(space.layout_of, edges, names, space.computed, **norms, layers=layers)
        net = Backbone(plan, depths, space.block_channels, BANDS, CLASSES)
        return net.to(memory_format=torch.channels_last), Sample((0,) * len(edges), depths)

    def step(self, batch_t: Batch, batch_v: Batch) -> None:
        """A whole step of the weights, and a pass with frozen weights."""
        for (net, sample), (x, y), whole in zip(self.nets, (batch_t, batch_v), (True, False), strict=True):
            loss = F.cross_entropy(net(x.to(memory_format=torch.channels_last), sample), y)
            self.sgd.zero_grad()
            if loss.requires_grad:
                loss.backward()
            if whole:
                nn.utils.clip_grad_norm_([p for p in net.parameters() if p.grad is not None], 5.0, foreach=True)
                self.sgd.step()


def _reach(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    """Let the gradient come as far as this edge's output, as alpha's needs."""
    return output if output.requires_grad else output.detach().requires_grad_()


def resnet20_step(batch: int) -> Callable[[Batch], None]:
    """A training step of ResNet-20 in channels_last."""
    net = BASELINES["resnet20"].build(BANDS, CLASSES).to(memory_format=torch.channels_last)
    sgd = torch.optim.SGD(net.parameters(), lr=RATE, momentum=0.9, weight_decay=3e-4, nesterov=True, fused=True)

    def step(pair: Batch) -> None:
        loss = F.cross_entropy(net(pair[0].to(memory_format=torch.channels_last)), pair[1])
        sgd.zero_grad()
        loss.backward()
        sgd.step()

    return step


class Contest:
    """All kinds on one layout and batch size."""

    def __init__(self, layout: str, batch: int, kinds: tuple[str, ...] = KINDS) -> None:
        config = SearchConfig(search_depth=False, initial_depth=DEPTH, complexity=True)
        space = Space(layout=layout, inputs_per_node=0)
        self.search = make_search(space, batch, config)
        self.data = batches(self.search)
        self.ours = stepper(self.search)
        self.plain = PlainGdas(self.search.supernet, self.search.architecture) if "plain" in kinds else None
        self.resnet20 = resnet20_step(batch)

    def step(self, kind: str, seed: int) -> float:
        """Seconds of one step of a kind on the draw of this seed."""
        noise = gumbel(self.search, seed)
        run: Step
        if kind == "floor":
            floor = Floor(self.search, noise)
            floor.step(*self.data)  # its network is new: the first step would pay for its memory
            run = partial(floor.step, *self.data)
        else:
            run = {"ours": self.ours, "plain": partial(self._plain, noise), "resnet20": self._resnet20}[kind]
        began = time.perf_counter()
        run()
        return time.perf_counter() - began

    def _plain(self, noise: list[Tensor]) -> None:
        assert self.plain is not None
        self.plain.weight_step(self.data[0], noise[0], TAU)
        self.plain.alpha_step(self.data[1], noise[1], TAU)

    def _resnet20(self) -> None:
        self.resnet20(self.data[0])


def peak_mb(kind: str, layout: str, batch: int, threads: int) -> float:
    """Most memory of a process that takes three steps, in MB."""
    command = [sys.executable, __file__, "--peak", kind, "--layouts", layout, "--batches", str(batch)]
    found = subprocess.run([*command, "--threads", str(threads)], check=True, capture_output=True, text=True)
    return float(found.stdout)


def contest(layout: str, batch: int, draws: int, threads: int, kinds: tuple[str, ...], lines: bool) -> dict[str, float]:
    """Medians of all kinds, ratios to ours, peaks."""
    field = Contest(layout, batch, kinds)
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for draw in range(-2, draws):
        for kind in kinds:
            seconds = field.step(kind, 1000 + draw)
            if draw >= 0:  # the first two pay for kernels and memory
                times[kind].append(seconds)
        if lines and draw >= 0:
            print(layout, batch, draw, *(f"{kind} {values[-1]:.3f}" for kind, values in times.items()), flush=True)
    entry = {f"{kind}_s": statistics.median(values) for kind, values in times.items()}
    for kind in kinds[1:]:
        ratios = [other / ours for other, ours in zip(times[kind], times["ours"], strict=True)]
        entry[f"{kind}_over_ours"] = statistics.median(ratios)
    return entry


def table(figures: dict[str, dict[str, dict[str, float]]]) -> str:
    """The figures in Markdown."""
    lines = [
        "| layout | batch | ours s | floor s | plain s | ResNet-20 | plain/ours | ours/floor | our MB | plain MB | |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for layout, rows in figures.items():
        for batch, e in rows.items():
            seconds = " | ".join(f"{e[f'{kind}_s']:.3f}" for kind in KINDS)
            ratios = f"{e['plain_over_ours']:.2f} | {1 / e['floor_over_ours']:.2f}"
            peaks = f"{e['ours_peak_mb']:.0f} | {e['plain_peak_mb']:.0f} | {e['ours_peak_mb'] / e['plain_peak_mb']:.2f}"
            lines.append(f"| {layout} | {batch} | {seconds} | {ratios} | {peaks} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=LAYOUTS)
    parser.add_argument("--batches", nargs="+", type=int, default=(64, 256))
    parser.add_argument("--draws", type=int, default=9, help="architectures drawn")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="leave some out while tuning")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's choice")
    parser.add_argument("--times", action="store_true", help="print each draw")
    parser.add_argument("--json", type=Path, help="write the figures by name")
    parser.add_argument("--peak", choices=KINDS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.peak:
        field = Contest(arguments.layouts[0], arguments.batches[0], (arguments.peak,))
        for seed in range(3):
            field.step(arguments.peak, seed)
        print(peak_memory_gib() * 1024)
        return
    figures: dict[str, dict[str, dict[str, float]]] = {}
    kinds = tuple(arguments.kinds)
    for layout in arguments.layouts:
        for batch in arguments.batches:
            entry = contest(layout, batch, arguments.draws, arguments.threads, kinds, arguments.times)
            if kinds == KINDS:
                for kind in ("ours", "plain"):
                    entry[f"{kind}_peak_mb"] = peak_mb(kind, layout, batch, arguments.threads)
            figures.setdefault(layout, {})[str(batch)] = entry
            print(layout, batch, {name: round(value, 3) for name, value in entry.items()}, flush=True)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {arguments.draws} draws")
    if kinds == KINDS:
        print(table(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
