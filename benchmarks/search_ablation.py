"""What each change to the search's step gave: every one taken back alone, on the same draws.

    python benchmarks/search_ablation.py --json ablation.json

Shapes as in `search_step.py`. A factor above 1 says how many times longer the step takes without the change;
medians over the draws, all variants in turn.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args
from unittest.mock import patch

import torch
from step_contest import CPU, DEPTH, Step, make_search, stepper
from torch import Tensor
from torch.nn import functional as F

from compactnas.config import Precision, SearchConfig
from compactnas.nn import separable, state
from compactnas.nn.operations import _weightless
from compactnas.nn.operations._separable import Unit
from compactnas.nn.state import State, weighed
from compactnas.search.searcher import Searcher
from compactnas.space.search_space import Space


@contextmanager
def unfrozen(search: Searcher) -> Iterator[None]:
    """Gradients of the weights in the architecture's step too."""
    whole, parameters = search.bilevel.alpha_step, search.bilevel.parameters

    def alpha_step(*arguments: Any) -> Any:
        search.bilevel.parameters = []
        try:
            return whole(*arguments)
        finally:
            search.bilevel.parameters = parameters

    with patch.object(search.bilevel, "alpha_step", alpha_step):
        yield


def _library_separable(x: Tensor, depthwise: Tensor, pointwise: Tensor, dilation: int) -> Tensor:
    return F.conv2d(separable._depthwise(x, depthwise, dilation), pointwise)


def _library_average(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _multiplied(unit: Unit, positive: Tensor, weight: Tensor | None = None) -> Tensor:
    return weighed(unit.norm(unit.convolution(positive)), weight)


CHANGES: dict[str, Callable[[], Any]] = {
    "separable convolutions' own gradients": lambda: patch.object(separable, "_separable", _library_separable),
    "average pooling as a depthwise convolution": lambda: patch.object(_weightless, "average_pool", _library_average),
    "ReLU shared by the edges of a state": lambda: patch.object(State, "positive", property(lambda one: F.relu(one.x))),
    "edge's weight as the normalisation's scale": lambda: patch.object(Unit, "forward", _multiplied),
    "dense gradients at the concatenation": lambda: patch.object(
        state, "_concatenate", lambda *parts: torch.cat(parts, dim=1)
    ),
}


def ablation(layout: str, batch: int, draws: int, precision: Precision) -> dict[str, float]:
    """Factor of each change; of a step in 32 bits too, where it is not in these."""
    space, config = Space(layout=layout), SearchConfig(search_depth=False, initial_depth=DEPTH)
    machine = replace(CPU, precision=precision)
    search = make_search(space, batch, config, machine=machine)
    contiguous = make_search(space, batch, config, machine=replace(machine, channels_last=False))
    ours, plain = stepper(search), stepper(contiguous)

    def without(change: Callable[[], Any]) -> Step:
        def step() -> None:
            with change():
                stepper(search)()

        return step

    steps: dict[str, Step] = {"": ours, "channels_last": plain}
    steps["frozen weights in the architecture's step"] = without(lambda: unfrozen(search))
    steps |= {name: without(change) for name, change in CHANGES.items()}
    searches = [search, contiguous]
    if precision != "32-true":
        searches.append(make_search(space, batch, config))
        steps[precision] = stepper(searches[-1])
    times: dict[str, list[float]] = {name: [] for name in steps}
    for draw in range(-1, draws):
        for name, step in steps.items():
            for one in searches:
                one.generator.manual_seed(1000 + draw)
            began = time.perf_counter()
            step()
            if draw >= 0:
                times[name].append(time.perf_counter() - began)
    reference = times.pop("")
    return {
        name: statistics.median(t / r for t, r in zip(values, reference, strict=True)) for name, values in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=9, help="architectures drawn")
    parser.add_argument("--batches", nargs="+", type=int, default=(64, 256))
    parser.add_argument("--layouts", nargs="+", default=("paper", "nasnet"))
    parser.add_argument("--precision", choices=get_args(Precision), default="32-true", help="as machine.precision")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's choice")
    parser.add_argument("--json", type=Path, help="write the figures by name")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    found = {
        f"{layout} {batch}": ablation(layout, batch, arguments.draws, arguments.precision)
        for layout in arguments.layouts
        for batch in arguments.batches
    }
    print(f"| change | {' | '.join(found)} |\n|---|{'---|' * len(found)}")
    for name in next(iter(found.values())):
        print(f"| {name} | {' | '.join(f'{factors[name]:.2f}' for factors in found.values())} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
