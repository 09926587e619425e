"""How the step's cost grows, and what options that change the mathematics give.

    python benchmarks/search_growth.py --json growth.json --plot docs/figures/search_growth.png

Growth: seconds of one step (weights, then architecture) on one fixed sampled path, with 2 to 8 candidates an
edge (the path does not change, so neither should the time), and against nodes, channels, side of the patch,
batch and depth. Options: a depth that is drawn against the mixture of depths 1 to 5, and two sampled inputs a
node against all edges, on drawn paths. Medians; each point is timed in turn with its reference.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from step_contest import Step, make_search, stepper

from compactnas.config import SearchConfig
from compactnas.nn.sample import Sample
from compactnas.search.architecture import Architecture
from compactnas.search.sampling import Draw, gumbel_softmax, straight_through
from compactnas.search.strategies.gdas import Gdas
from compactnas.search.strategy import Strategy
from compactnas.space.operation_specs import DARTS_OPERATIONS
from compactnas.space.search_space import Space

PATH = ("sep_conv_3x3", "skip_connect")
ORDER = (*PATH, *(name for name in DARTS_OPERATIONS if name not in PATH))
BASE: dict[str, int] = {"candidates": 8, "nodes": 4, "channels": 16, "side": 32, "batch": 64, "depth": 3}
GROWTH: dict[str, Sequence[int]] = {
    "candidates": (2, 3, 4, 5, 6, 7, 8),
    "nodes": (3, 4, 5, 6),
    "channels": (8, 16, 32),
    "side": (16, 32, 48, 64),
    "batch": (16, 32, 64, 128),
    "depth": (1, 2, 3, 4, 5),
}


class SamePath(Strategy):
    """Draws as GDAS does, but always runs `sep_conv_3x3` and `skip_connect` in turn."""

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        """The same path, with its gradient to alpha."""
        with torch.set_grad_enabled(gradient):
            operations = gumbel_softmax(architecture.alpha, tau, generator)
            path = torch.arange(len(operations)) % 2
            weights = straight_through(operations, path).gather(-1, path.unsqueeze(-1)).squeeze(-1)
        assert architecture.fixed_depths is not None
        sample = Sample(tuple(path.tolist()), architecture.fixed_depths, weights if gradient else None)
        return Draw(sample, operations, None)


def growth_step(**changes: int) -> Step:
    """A step of these sizes on the same path."""
    size = BASE | changes
    space = Space(channels=size["channels"], nodes=size["nodes"], operations=ORDER[: size["candidates"]])
    config = SearchConfig(search_depth=False, initial_depth=size["depth"])
    search = make_search(space, size["batch"], config, side=size["side"])
    search.bilevel.strategy = SamePath()
    return stepper(search)


def seconds(steps: dict[int, Step], rounds: int) -> dict[int, float]:
    """Median of each step, all taken in turn."""
    times: dict[int, list[float]] = {key: [] for key in steps}
    for turn in range(rounds + 1):
        for key, step in steps.items():
            began = time.perf_counter()
            step()
            if turn:
                times[key].append(time.perf_counter() - began)
    return {key: statistics.median(values) for key, values in times.items()}


def growth(rounds: int) -> dict[str, dict[int, float]]:
    """Seconds by size, one size changed at a time."""
    found = {}
    for name, values in GROWTH.items():
        found[name] = seconds({value: growth_step(**{name: value}) for value in values}, rounds)
        print(name, {value: round(s, 4) for value, s in found[name].items()}, flush=True)
    return found


class AtDepth:
    """GDAS with drawn depths, always at this one."""

    def __init__(self, depth: int) -> None:
        self.depth, self.gdas = depth, Gdas(depth_mode="sample")

    def draw(self, architecture: Architecture, tau: float, generator: torch.Generator, *, gradient: bool) -> Draw:
        """A draw of GDAS, at this depth."""
        draw = self.gdas.draw(architecture, tau, generator, gradient=gradient)
        return draw._replace(sample=draw.sample._replace(depths=(self.depth,) * architecture.space.blocks))


def options(layout: str, batch: int, draws: int) -> dict[str, float]:
    """Medians over draws of the ratio of the reference's time to the option's, on the same draws."""
    config, space = SearchConfig(), Space(layout=layout)
    mixture = make_search(space, batch, config)
    searches = {"mixture": mixture}
    for depth in (1, 3, 5):
        searches[f"sampled depth {depth}"] = make_search(space, batch, replace(config, depth_mode="sample"))
        searches[f"sampled depth {depth}"].bilevel.strategy = AtDepth(depth)
    fixed = replace(config, search_depth=False)
    searches["all inputs"] = make_search(space, batch, fixed)
    searches["two inputs"] = make_search(space, batch, replace(fixed, sampled_inputs=2))
    steps = {name: stepper(search) for name, search in searches.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for draw in range(-1, draws):
        for name, step in steps.items():
            searches[name].generator.manual_seed(1000 + draw)
            began = time.perf_counter()
            step()
            if draw >= 0:
                times[name].append(time.perf_counter() - began)
    found = {f"{name}, s": statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        reference = times["all inputs" if name == "two inputs" else "mixture"]
        if values is not reference and name != "all inputs":
            found[f"{name}, gain"] = statistics.median(r / v for r, v in zip(reference, values, strict=True))
    return found


def plot(found: dict[str, dict[int, float]], file: Path) -> None:
    """Time relative to the base size, a panel a size."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(10, 6), layout="constrained")
    for axis, (name, values) in zip(axes.flat, found.items(), strict=True):
        relative = [seconds / values[BASE[name]] for seconds in values.values()]
        axis.plot(list(values), relative, "o-", color="#1f5a99")
        axis.set(title=name, xticks=list(values), ylim=(0, 1.15 * max(relative)))
        axis.grid(alpha=0.3)
    base = ", ".join(f"{name} {value}" for name, value in BASE.items())
    figure.suptitle(f"time of a search step on one path; 1 is that of {base}")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def table(figures: dict[str, Any]) -> str:
    """The figures in Markdown."""
    lines = ["| size | value: seconds (relative) |", "|---|---|"]
    for name, values in figures["growth"].items():
        base = values[BASE[name]]
        lines.append(f"| {name} | {', '.join(f'{v}: {s:.3f} ({s / base:.2f})' for v, s in values.items())} |")
    lines += ["", "| layout | batch | option | seconds | times as fast |", "|---|---|---|---|---|"]
    for layout, rows in figures["options"].items():
        for batch, found in rows.items():
            names = [key.removesuffix(", s") for key in found if key.endswith(", s")]
            for name in names:
                gain = found.get(f"{name}, gain")
                lines.append(
                    f"| {layout} | {batch} | {name} | {found[f'{name}, s']:.3f} | {f'{gain:.2f}' if gain else ''} |"
                )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="times that each size is timed")
    parser.add_argument("--draws", type=int, default=11, help="architectures drawn for the options")
    parser.add_argument("--batches", nargs="+", type=int, default=(64,))
    parser.add_argument("--layouts", nargs="+", default=("paper", "nasnet"))
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's choice")
    parser.add_argument("--json", type=Path, help="write the figures by name")
    parser.add_argument("--plot", type=Path, help="write the growth as a picture")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    figures: dict[str, Any] = {"growth": growth(arguments.rounds), "options": {}}
    for layout in arguments.layouts:
        for batch in arguments.batches:
            found = options(layout, batch, arguments.draws)
            figures["options"].setdefault(layout, {})[batch] = found
            print(layout, batch, {name: round(value, 3) for name, value in found.items()}, flush=True)
    print(table(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if arguments.plot:
        plot(figures["growth"], arguments.plot)


if __name__ == "__main__":
    main()
