"""What `gpu.py` measures, the most important first: each case gives figures in milliseconds, and ratios."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import replays
import torch
from step_contest import DEPTH, Contest, Where, make_search

from compactnas.config import MachineConfig, Precision, SearchConfig
from compactnas.search.strategies import STRATEGIES
from compactnas.space.search_space import Space

Figures = dict[str, float]
FLOAT, BFLOAT = "32-true", "bf16-mixed"
PRECISIONS: tuple[Precision, ...] = (FLOAT, BFLOAT)
WORKER_S = 180
"""Most seconds of the processes that measure several devices."""


class Case(NamedTuple):
    """Something to measure.

    Attributes:
        section: Table that it belongs to.
        name: Its row.
        measure: Function that gives its figures.
    """

    section: str
    name: str
    measure: Callable[[], Figures]


class LeftOut(NamedTuple):
    """Something that this machine cannot do.

    Attributes:
        name: What it is.
        reason: What is missing.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        machine: Device.
        side: Side of a patch in pixels.
        batches: Batch sizes, the most important first.
        layouts: Layouts, the most important first.
        strategies: Strategies, apart from GDAS.
        precisions: Precisions.
        networks: Networks that are trained (`replays.NETWORKS`).
        draws: Architectures drawn in each case.
        steps: Steps of each training, and of each search that reads its data.
        devices: Devices of this machine; two or more are measured against one.
    """

    machine: MachineConfig
    side: int
    batches: tuple[int, ...]
    layouts: tuple[str, ...] = ("paper", "nasnet", "lean", "mobile")
    strategies: tuple[str, ...] = tuple(name for name in STRATEGIES if name != "gdas")
    precisions: tuple[Precision, ...] = PRECISIONS
    networks: tuple[str, ...] = tuple(replays.NETWORKS)
    draws: int = 5
    steps: int = 40
    devices: int = 1

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.machine.device == "cuda"

    def where(self, precision: Precision, strategy: str = "gdas") -> Where:
        """This machine in a precision."""
        return Where(replace(self.machine, precision=precision), self.side, strategy)


def on_this_machine() -> Sizes:
    """Full sizes on a GPU, small ones on a CPU."""
    if torch.cuda.is_available():
        return Sizes(MachineConfig(device="cuda"), 32, (256, 64, 1024), devices=torch.cuda.device_count())
    cpu = MachineConfig(device="cpu", threads=1)
    return Sizes(cpu, 8, (4,), networks=("resnet20",), draws=1, steps=2)


def cases(sizes: Sizes) -> Iterator[Case | LeftOut]:
    """All cases in the order of their importance."""
    first, *others = sizes.layouts
    usual = sizes.batches[0]
    for batch in sizes.batches[:2]:
        yield from _steps(sizes, [first], batch)
    yield from _trainings(sizes)
    for batch in sizes.batches[:2]:
        yield from _steps(sizes, others, batch)
    yield from _loading(sizes, usual)
    yield from _devices(sizes, max(sizes.batches))
    for strategy in sizes.strategies:
        for precision in sizes.precisions:
            name = f"{strategy}, {first}, {usual}, {precision}"
            yield Case("strategies", name, partial(_strategy, first, usual, sizes.where(precision, strategy), sizes))
    for batch in sizes.batches[2:]:
        yield from _steps(sizes, sizes.layouts, batch)
    yield from _graphs(sizes)


def _steps(sizes: Sizes, layouts: list[str] | tuple[str, ...], batch: int) -> Iterator[Case]:
    for layout in layouts:
        for precision in sizes.precisions:
            name = f"gdas, {layout}, {batch}, {precision}"
            yield Case("search", name, partial(_step, layout, batch, sizes.where(precision), sizes.draws))


def _step(
    layout: str, batch: int, where: Where, draws: int, kinds: tuple[str, ...] = ("ours", "floor", "plain")
) -> Figures:
    """Medians over the draws of each kind of step, and of their ratios."""
    contest = Contest(layout, batch, kinds, where)
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for seconds in contest.draws(draws, warm_ups=1):
        for kind in kinds:
            times[kind].append(seconds[kind])
    figures = {f"{kind}_ms": 1000 * statistics.median(values) for kind, values in times.items()}
    for over, under in (("plain", "ours"), ("ours", "floor"), ("ours", "graph")):
        if over in times and under in times:
            ratios = [a / b for a, b in zip(times[over], times[under], strict=True)]
            figures[f"{over}/{under}"] = statistics.median(ratios)
    return figures


def _strategy(layout: str, batch: int, where: Where, sizes: Sizes) -> Figures:
    return _step(layout, batch, where, sizes.draws, ("ours",))


def _graphs(sizes: Sizes) -> Iterator[Case | LeftOut]:
    """The floor without the time that Python takes to launch it."""
    if not sizes.on_gpu:
        yield LeftOut("the floor of a search's step as a CUDA graph", "CUDA")
        return
    for batch in sizes.batches:
        for layout in sizes.layouts:
            measure = partial(_step, layout, batch, sizes.where(BFLOAT), sizes.draws, ("ours", "graph"))
            yield Case("floor as a CUDA graph", f"gdas, {layout}, {batch}, {BFLOAT}", measure)


def _trainings(sizes: Sizes) -> Iterator[Case | LeftOut]:
    if not sizes.on_gpu:
        yield LeftOut("trainings as CUDA graphs", "CUDA")
    for network in sizes.networks:
        for precision in sizes.precisions:
            batch = 64 if sizes.on_gpu else min(sizes.batches)
            machine = replace(sizes.machine, precision=precision)
            yield Case(
                "training", f"{network}, {batch}, {precision}", partial(_training, network, batch, machine, sizes)
            )


def _training(network: str, batch: int, machine: MachineConfig, sizes: Sizes) -> Figures:
    figures: Figures = {}
    for place, on_device in (("", False), (", data on the device", True)):
        placed = replace(machine, data_on_device=on_device)
        for way in ("as it is", "replayed")[: 1 + sizes.on_gpu]:
            milliseconds, _ = replays.steps(
                network, replayed=way == "replayed", machine=placed, count=sizes.steps, batch=batch
            )
            figures[f"{way}{place}_ms"] = milliseconds
        if sizes.on_gpu:
            figures[f"as it is/replayed{place}"] = figures[f"as it is{place}_ms"] / figures[f"replayed{place}_ms"]
    return figures


def _loading(sizes: Sizes, batch: int) -> Iterator[Case]:
    for layout in sizes.layouts[:1]:
        for precision in sizes.precisions:
            measure = partial(_loaded, layout, batch, replace(sizes.machine, precision=precision), sizes)
            yield Case("search with its loader", f"gdas, {layout}, {batch}, {precision}", measure)


def _loaded(layout: str, batch: int, machine: MachineConfig, sizes: Sizes) -> Figures:
    """Steps of a search with its batches read, from the memory of the machine and from that of the device."""
    figures = {}
    for place, on_device in (("", False), (", data on the device", True)):
        placed = replace(machine, data_on_device=on_device)
        figures[f"ours{place}_ms"] = _search_ms(layout, batch, placed, sizes)
    return figures


def _search_ms(layout: str, batch: int, machine: MachineConfig, sizes: Sizes) -> float:
    config = SearchConfig(search_depth=False, initial_depth=DEPTH)
    search = make_search(Space(layout=layout), batch, config, side=sizes.side, machine=machine, steps=sizes.steps)
    return _ms_a_step(search.run_epoch(0), sizes)


def _ms_a_step(results: Generator[Any, None, None], sizes: Sizes) -> float:
    """Milliseconds of a step after the first one."""
    next(results)
    _wait(sizes)
    began, steps = time.perf_counter(), 0
    for _ in results:
        steps += 1
    _wait(sizes)
    return 1000 * (time.perf_counter() - began) / steps


def _wait(sizes: Sizes) -> None:
    if sizes.on_gpu:
        torch.cuda.synchronize()


def _devices(sizes: Sizes, batch: int) -> Iterator[Case | LeftOut]:
    if sizes.devices < 2:
        yield LeftOut("a search on two devices", f"a second GPU: this machine has {sizes.devices * sizes.on_gpu}")
        return
    for precision in sizes.precisions:
        for layout in sizes.layouts[:1]:
            name = f"gdas, {layout}, {batch} in all, {precision}"
            yield Case("two devices", name, partial(_on_two, layout, batch, precision, sizes))


def _on_two(layout: str, batch: int, precision: Precision, sizes: Sizes) -> Figures:
    """One process, then two that share each batch."""
    figures: Figures = {}
    for devices in (1, 2):
        given = {"--layout": layout, "--batch": batch, "--precision": precision, "--devices": devices}
        words = [str(word) for pair in given.items() for word in pair]
        command = [sys.executable, __file__, *words, "--side", str(sizes.side), "--steps", str(sizes.steps)]
        if not sizes.on_gpu:
            command.append("--cpu")
        done = subprocess.run(command, capture_output=True, text=True, timeout=WORKER_S)
        if done.returncode:
            raise RuntimeError(f"{devices} devices: " + " ".join(done.stderr.splitlines()[-1:]))
        figures[f"{devices} devices_ms"] = json.loads(done.stdout.splitlines()[-1])
    return figures | {"1/2": figures["1 devices_ms"] / figures["2 devices_ms"]}


def worker() -> None:
    """Measure a search by several processes; `compactnas` starts the others."""
    parser = argparse.ArgumentParser(description=worker.__doc__)
    parser.add_argument("--layout", required=True)
    parser.add_argument("--precision", required=True)
    for name in ("batch", "devices", "side", "steps"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--cpu", action="store_true")
    given = parser.parse_args()
    device = "cpu" if given.cpu else "cuda"
    machine = MachineConfig(device=device, devices=given.devices, precision=given.precision)
    sizes = Sizes(machine, given.side, (given.batch,), steps=given.steps)
    milliseconds = _search_ms(given.layout, given.batch, machine, sizes)
    if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
        print(milliseconds)


if __name__ == "__main__":
    worker()
