"""Where the wall time of a whole search goes: forward, backward, optimisers, and everything else.

    python benchmarks/search_share.py --json share.json

A search by the recipe `quick` on the demo's data, as `compactnas search --recipe quick` runs it: reading and
turning the patches, drawing, the cost's loss, progress, metrics and checkpoints are everything else. Forward
holds the network and the cross-entropy, the optimisers hold the clipping of gradients. With `--depth-mode` and
`--sampled-inputs`, what the options that change the mathematics take over a whole search.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from lightning_fabric import Fabric

from compactnas.cli.commands import demo
from compactnas.config import DataConfig, MachineConfig, quick
from compactnas.data import open_dataset
from compactnas.nn.supernet import SuperNet
from compactnas.pipeline.running import search_stage
from compactnas.reporting.progress import RichListener
from compactnas.synthetic import write_world

PARTS: dict[str, list[tuple[Any, str]]] = {
    "forward": [(SuperNet, "forward"), (torch.nn.functional, "cross_entropy")],
    "backward": [(Fabric, "backward")],
    "optimisers": [(torch.optim.SGD, "step"), (torch.optim.Adam, "step"), (torch.nn.utils, "clip_grad_norm_")],
}


@contextmanager
def timed(seconds: dict[str, float]) -> Iterator[None]:
    """Add up the time inside each part."""
    with ExitStack() as stack:
        for part, places in PARTS.items():
            seconds[part] = 0.0
            for owner, name in places:
                stack.enter_context(patch.object(owner, name, counting(getattr(owner, name), seconds, part)))
        yield


def counting(function: Callable[..., Any], seconds: dict[str, float], part: str) -> Callable[..., Any]:
    """The function, with its time added to a part."""

    def run(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            seconds[part] += time.perf_counter() - began

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=quick().search.epochs)
    parser.add_argument("--depth-mode", choices=("mixture", "sample"), default="mixture", help="search.depth_mode")
    parser.add_argument("--sampled-inputs", type=int, default=0, help="search.sampled_inputs")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves torch's choice")
    parser.add_argument("--json", type=Path, help="write the figures by name")
    arguments = parser.parse_args()
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sizes = {"patches": demo.PATCHES, "scene_px": demo.SCENE_PX}
        write_world(folder / "world", cities=demo.CITIES, test_cities=demo.TEST_CITIES, seed=0, **sizes)
        recipe = quick()
        asked = {name: getattr(arguments, name) for name in ("epochs", "depth_mode", "sampled_inputs")}
        config = replace(
            recipe,
            data=DataConfig(path=str(folder / "world")),
            search=replace(recipe.search, **asked),
            machine=MachineConfig(device="cpu", threads=arguments.threads),
        )
        data = open_dataset(config.data)
        with timed(seconds):
            began = time.perf_counter()
            search_stage(config, folder / "run", listener=RichListener(), data=data)
            wall = time.perf_counter() - began
    shares = {part: value / wall for part, value in seconds.items()}
    shares["everything else"] = 1 - sum(shares.values())
    print(f"\n{arguments.epochs} epochs, {wall:.1f} s, torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    print("| part | share of wall time |\n|---|---|")
    for part, share in shares.items():
        print(f"| {part} | {share:.1%} |")
    if arguments.json:
        arguments.json.write_text(json.dumps({"wall_s": wall, "shares": shares}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
