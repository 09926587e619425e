"""The contestants of the benchmarks of a search's step: ours, its floor, the published order, and ResNet-20.

    ours      `Searcher.weight_step` and `Searcher.alpha_step`
    floor     what the sampled path itself costs: the derived network of the same draw with the same
              operations and memory format, one whole step of SGD and one pass with frozen weights whose
              gradient reaches the output of every edge, but no alpha
    graph     the floor as one CUDA graph, on a GPU
    plain     GDAS in the published order of operations (`plain_gdas.py`)
    resnet20  one training step

`search_step.py` and `gpu.py` measure them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from plain_gdas import PlainGdas
from torch import Tensor, nn
from torch.nn import functional as F

from compactnas.config import MachineConfig, SearchConfig
from compactnas.data import Normalization
from compactnas.data.device_cache import on_device
from compactnas.data.source import Facts, Source
from compactnas.nn.backbone import Backbone
from compactnas.nn.baselines import BASELINES
from compactnas.nn.cell import CellPlan
from compactnas.nn.norms import candidate_norm, fixed_norm
from compactnas.nn.sample import Sample
from compactnas.search.searcher import SearchData, Searcher
from compactnas.space.search_space import Space
from compactnas.training.cuda_graph import WARM_UP, ReplayedStep
from compactnas.training.runtime import make_fabric

BANDS, CLASSES, SIDE, DEPTH, TAU, RATE = 10, 17, 32, 3, 10.0, 0.025
LAYOUTS = ("paper", "nasnet", "lean", "mobile")
KINDS = ("ours", "floor", "plain", "resnet20")
Batch = tuple[Tensor, Tensor]
Step = Callable[[], None]


CPU = MachineConfig(device="cpu")


@dataclass(frozen=True)
class Where:
    """What steps run on, and how.

    Attributes:
        machine: Device and precision.
        side: Side of a patch in pixels.
        strategy: Strategy of our step; the other kinds are GDAS.
    """

    machine: MachineConfig = CPU
    side: int = SIDE
    strategy: str = "gdas"


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
    machine: MachineConfig = CPU,
    steps: int = 1,
) -> Searcher:
    """A search of these shapes on random patches for a number of steps, ready to step."""
    fabric, rows = make_fabric(machine), batch * steps
    source: Source = Noise(2 * rows, side)
    if machine.data_on_device:
        source = on_device(source, fabric.device)
    halves = np.arange(rows), np.arange(rows, 2 * rows)
    plain = Normalization((0.0,) * BANDS, (1.0,) * BANDS)
    config = replace(config, batch_size=batch)
    data = SearchData(source, halves, plain)
    return Searcher(space, config, data, fabric, seed=0, channels_last=machine.channels_last)


def batches(search: Searcher) -> tuple[Batch, Batch]:
    """The search's batch of D_T and its batch of D_V, unshuffled, on its device."""
    batch_t, batch_v = (
        tuple(torch.from_numpy(array).to(search.fabric.device) for array in reader.source.batch(reader.indices))
        for reader in (search.train_batches, search.alpha_batches)
    )
    return batch_t, batch_v


def stepper(search: Searcher) -> Step:
    """One step of the search, on the same two batches each time."""
    batch_t, batch_v = batches(search)

    def step() -> None:
        search.bilevel.weight_step(*batch_t, TAU, RATE)
        if search.strategy.learns_alpha:
            search.bilevel.alpha_step(*batch_v, TAU, 0, (*batch_t, 0))

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
        self.fabric = search.fabric
        scores = [search.architecture.alpha.detach().log_softmax(dim=-1) + drawn for drawn in noise]
        self.nets = [
            self._network(search.space, drawn.argmax(dim=-1).tolist(), search.fabric.device) for drawn in scores
        ]
        self.sgd = torch.optim.SGD(self.nets[0][0].parameters(), lr=RATE, momentum=0.9, weight_decay=3e-4, foreach=True)
        for p in self.nets[1][0].parameters():
            p.requires_grad_(False)
        for module in self.nets[1][0].modules():
            if isinstance(module, nn.ModuleList) and len(module) == 1 and not isinstance(module[0], nn.ModuleList):
                module[0].register_forward_hook(_reach)

    @staticmethod
    def _network(space: Space, path: list[int], device: torch.device) -> tuple[Backbone, Sample]:
        named = [(edge, space.operations[index]) for edge, index in zip(space.edges, path, strict=True)]
        kept = [(edge, name) for edge, name in named if name != "none"]
        edges, names = [edge for edge, _ in kept], [(name,) for _, name in kept]
        depths = (DEPTH,) * space.blocks
        layers = space.layers if space.layout_of.residual else None
        norms = {"norm": candidate_norm, "fixed": fixed_norm}
        plan = CellPlan(space.layout_of, edges, names, space.computed, **norms, layers=layers)
        net = Backbone(plan, depths, space.block_channels, BANDS, CLASSES)
        return net.to(device, memory_format=torch.channels_last), Sample((0,) * len(edges), depths)

    def step(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """A whole step of the weights on the first two tensors, and a pass with frozen weights on the others."""
        losses = []
        for (net, sample), (x, y), whole in zip(self.nets, (tensors[:2], tensors[2:]), (True, False), strict=True):
            with self.fabric.autocast():
                logits = net(x.to(memory_format=torch.channels_last), sample)
            loss = F.cross_entropy(logits.float(), y)
            self.sgd.zero_grad()
            if loss.requires_grad:
                loss.backward()
            if whole:
                nn.utils.clip_grad_norm_([p for p in net.parameters() if p.grad is not None], 5.0, foreach=True)
                self.sgd.step()
            losses.append(loss.detach())
        return tuple(losses)


def _reach(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    """Let the gradient come as far as this edge's output, as alpha's needs."""
    return output if output.requires_grad else output.detach().requires_grad_()


def resnet20_step(device: torch.device) -> Callable[[Batch], None]:
    """A training step of ResNet-20 in channels_last."""
    net = BASELINES["resnet20"].build(BANDS, CLASSES).to(device, memory_format=torch.channels_last)
    sgd = torch.optim.SGD(net.parameters(), lr=RATE, momentum=0.9, weight_decay=3e-4, nesterov=True, fused=True)

    def step(pair: Batch) -> None:
        loss = F.cross_entropy(net(pair[0].to(memory_format=torch.channels_last)), pair[1])
        sgd.zero_grad()
        loss.backward()
        sgd.step()

    return step


class Contest:
    """All kinds on one layout and batch size.

    Args:
        layout: Layout of the network.
        batch: Patches of each half-step.
        kinds: Kinds that will step.
        where: Machine, side of the patches, and strategy.
    """

    def __init__(self, layout: str, batch: int, kinds: tuple[str, ...] = KINDS, where: Where = Where()) -> None:
        self.kinds = kinds
        config = SearchConfig(search_depth=False, initial_depth=DEPTH, complexity=True, strategy=where.strategy)
        space = Space(layout=layout, inputs_per_node=0)
        self.search = make_search(space, batch, config, side=where.side, machine=where.machine)
        self.data = batches(self.search)
        self.ours = stepper(self.search)
        self.plain = PlainGdas(self.search.supernet, self.search.architecture) if "plain" in kinds else None
        if self.plain is not None:
            self.plain.to(self.search.fabric.device)
            self.plain.autocast = self.search.fabric.autocast
        self.resnet20 = resnet20_step(self.search.fabric.device) if "resnet20" in kinds else None

    def draws(self, count: int, warm_ups: int) -> Iterator[dict[str, float]]:
        """Step each kind in turn on so many draws, and yield the seconds; the warm-ups before pay for what is new."""
        for draw in range(-warm_ups, count):
            seconds = {kind: self.step(kind, 1000 + draw) for kind in self.kinds}
            if draw >= 0:
                yield seconds

    def step(self, kind: str, seed: int) -> float:
        """Seconds of one step of a kind on the draw of this seed."""
        noise = gumbel(self.search, seed)
        run: Callable[[], Any] = self.ours
        if kind in ("floor", "graph"):
            run = self._floor(noise, replayed=kind == "graph")
        elif kind == "plain":
            run = partial(self._plain, [drawn.to(self.search.fabric.device) for drawn in noise])
        elif kind == "resnet20":
            assert self.resnet20 is not None
            run = partial(self.resnet20, self.data[0])
        self._synchronise()
        began = time.perf_counter()
        run()
        self._synchronise()
        return time.perf_counter() - began

    def _floor(self, noise: list[Tensor], *, replayed: bool) -> Callable[[], Any]:
        """A step of the floor that has run before: its network is new, and its first step pays for its memory."""
        floor = Floor(self.search, noise)
        step: Callable[..., Any] = ReplayedStep(floor.step) if replayed else floor.step
        run = partial(step, *self.data[0], *self.data[1])
        for _ in range(WARM_UP + 1 if replayed else 1):
            run()
        return run

    def _plain(self, noise: list[Tensor]) -> None:
        assert self.plain is not None
        self.plain.weight_step(self.data[0], noise[0], TAU)
        self.plain.alpha_step(self.data[1], noise[1], TAU)

    def _synchronise(self) -> None:
        if self.search.fabric.device.type == "cuda":
            torch.cuda.synchronize()
