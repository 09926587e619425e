"""The dense mode of maps beside the exact one, and beside simpler ways of sharing.

    python benchmarks/mapping.py RUN --json mapping.json
    python benchmarks/mapping.py RUN --npz berlin_lcz_s2.npz

A made city that no run has seen (`--city`, `--scene-px`), or the `scene` of a numpy file, is judged cell by cell:

    exact           each window alone, in batches of 128
    level 1         the first level of the network shared, the others window by window
    levels 1-2      the first two shared
    all             all levels shared, the network's own last layer (neighbours in place of zeros)
    grid 8, grid 12 the same on a grid whose windows all begin on the network's, each cell by the nearest window
    learnt          all levels shared, and what was learnt of the sample
    dense           the same, cells in doubt judged alone: `--mode dense`

Times are processor time of one thread: all ways take turns on each block of the scene, and a ratio is the median of the
blocks'. Those of `learnt` and `dense` hold the sample's time, shared out over a scene of 3000 x 3000 px, which has as
many tiles as are taken here (`--tiles`). Agreement is with the classes of the exact mode, on cells that are not of the
sample; the least of any class that the exact mode gives to 100 of them or more stands beside it. Peak memory is of a
process that maps the first two blocks in this way and no other, with Python, torch and the sample in it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compactnas.exporting.engines import TorchEngine
from compactnas.mapping.blocks import Block
from compactnas.mapping.boundary_correction import BoundaryCorrection
from compactnas.mapping.dense import Dense, features, learn_correction, sample
from compactnas.mapping.exact import Exact
from compactnas.mapping.grid import CellRectangle, Grid
from compactnas.mapping.levels import levels_of
from compactnas.mapping.shared_maps import Shared
from compactnas.nn.stages import Stages
from compactnas.nn.state import State
from compactnas.runs.folder import load
from compactnas.runs.task import Task
from compactnas.synthetic.scene import make_city
from compactnas.synthetic.write import city_seed
from compactnas.training.runtime import peak_memory_gib

STEP, WINDOW, BATCH, TILES = 10, 32, 128, 96
LARGE = 300 * 300
"""Cells of a scene of 3000 x 3000 px."""
Labels = np.ndarray
Way = Callable[[Block], Labels]


def block_of(pixels: np.ndarray, cells: CellRectangle) -> Block:
    """All pixels of these cells' windows, all valid."""
    top, left = cells.row * STEP, cells.column * STEP
    part = pixels[:, top : top + (cells.rows - 1) * STEP + WINDOW, left : left + (cells.columns - 1) * STEP + WINDOW]
    shape = (cells.rows, cells.columns)
    return Block(np.ascontiguousarray(part), np.ones(part.shape[1:], np.bool_), np.ones(shape, np.bool_), STEP, WINDOW)


def _last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


def some_shared(levels: Stages, shared: int) -> Way:
    """The first levels on the strip, the others window by window."""

    def way(block: Block) -> Labels:
        states = levels.enter(_last(torch.from_numpy(block.pixels)[None]))
        for level in levels.stages[:shared]:
            states = level(states)
        stride = 2 ** (shared - 1)
        maps = [
            state.x[0].unfold(1, WINDOW // stride, STEP // stride).unfold(2, WINDOW // stride, STEP // stride)
            for state in states
        ]
        windows = [m.permute(1, 2, 0, 3, 4).flatten(0, 1) for m in maps]
        found = []
        for start in range(0, len(windows[0]), BATCH):
            inner = [State(_last(w[start : start + BATCH])) for w in windows]
            for level in levels.stages[shared:]:
                inner = level(inner)
            found.append(levels.linear(levels.leave(inner[-1].x).mean((2, 3))).argmax(-1))
        return torch.cat(found).view(block.accepted.shape).numpy()

    return way


def all_shared(shared: Shared) -> Way:
    """All levels on the strip, the network's own last layer."""

    def way(block: Block) -> Labels:
        return shared.own_logits(features(shared, block)).argmax(-1)

    return way


def nearest(levels: Stages, step: int) -> Way:
    """The same at windows so many pixels apart; each cell gets the nearest one's class."""

    def way(block: Block) -> Labels:
        side = WINDOW // 2 ** (len(levels.stages) - 1)
        states = levels.enter(_last(torch.from_numpy(block.pixels)[None]))
        for level in levels.stages:
            states = level(states)
        stride = WINDOW // side
        pooled = torch.nn.functional.avg_pool2d(levels.leave(states[-1].x), side, step // stride)
        labels = levels.linear(pooled[0].permute(1, 2, 0)).argmax(-1)
        at = [
            (torch.arange(count) * STEP / step).round().long().clamp(max=there - 1)
            for count, there in zip(block.accepted.shape, labels.shape, strict=True)
        ]
        return labels[at[0]][:, at[1]].numpy()

    return way


SAMPLED = ("learnt", "dense")
"""Ways that need a correction."""


def ways_of(levels: Stages, shared: Shared, exact: Exact, correction: BoundaryCorrection | None) -> dict[str, Way]:
    """Every way by its name; those of `SAMPLED` where there is a correction."""
    ways: dict[str, Way] = {
        "exact": lambda block: exact(block).argmax(-1),
        "level 1": some_shared(levels, 1),
        "levels 1-2": some_shared(levels, 2),
        "all": all_shared(shared),
        "grid 8": nearest(levels, 8),
        "grid 12": nearest(levels, 12),
    }
    if correction is not None:
        dense = Dense(shared, exact, correction)

        def learnt(block: Block) -> Labels:
            found = features(shared, block)
            own = shared.own_logits(found)
            return correction(torch.from_numpy(found), torch.from_numpy(own))[0].argmax(-1).numpy()

        ways["learnt"] = learnt
        ways["dense"] = lambda block: dense(block).argmax(-1)
    return ways


def opened(pixels: np.ndarray, run: Path) -> tuple[Stages, Shared, Exact, Grid]:
    """A network by its levels, in the exact mode, and the grid of a scene."""
    network = load(run)
    levels = levels_of(network)
    task = Task(tuple(map(str, range(len(pixels)))), tuple(map(str, range(levels.linear.out_features))), WINDOW, False)
    rows, columns = ((side - WINDOW) // STEP + 1 for side in pixels.shape[1:])
    return levels, Shared.of(network), Exact(TorchEngine(task, network), BATCH), Grid(rows, columns, STEP, WINDOW, 0)


def show_peak(file: Path, run: Path, name: str, tiles: int) -> None:
    """What a process of its own does: map two blocks in one way, and print the peak of its memory in MB."""
    pixels = np.load(file, mmap_mode="r")
    levels, shared, exact, grid = opened(pixels, run)
    correction = None
    if name in SAMPLED:
        correction = learn_correction(shared, exact, sample(lambda cells: block_of(pixels, cells), grid, tiles))
    way = ways_of(levels, shared, exact, correction)[name]
    for cells in list(grid.blocks())[:2]:
        with torch.inference_mode():
            way(block_of(pixels, cells))
    print(2**30 / 1e6 * peak_memory_gib())


def peaks_mb(pixels: np.ndarray, run: Path, names: list[str], tiles: int) -> dict[str, float]:
    """Peak memory of a process for each way."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scene.npy"
        np.save(file, pixels)
        command = [sys.executable, __file__, str(run), "--tiles", str(tiles), "--peak", str(file)]
        return {name: float(subprocess.check_output([*command, name], text=True)) for name in names}


def measured(pixels: np.ndarray, truth: np.ndarray | None, run: Path, rounds: int, tiles: int) -> dict[str, Any]:
    """Times, memory and agreement of every way on one scene."""
    levels, shared, exact, grid = opened(pixels, run)
    rows, columns = grid.rows, grid.columns
    outside = np.ones((rows, columns), np.bool_)

    def read(cells: CellRectangle) -> Block:
        inner = (
            slice(cells.row + 1, cells.row + cells.rows - 1),
            slice(cells.column + 1, cells.column + cells.columns - 1),
        )
        outside[inner] = False
        return block_of(pixels, cells)

    began = time.process_time()
    correction = learn_correction(shared, exact, sample(read, grid, tiles))
    sampling = time.process_time() - began
    assert correction is not None, "a larger scene"
    ways = ways_of(levels, shared, exact, correction)
    blocks = list(grid.blocks())
    labels: dict[str, list[Labels]] = {name: [] for name in ways}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number, cells in enumerate(blocks):
        block = block_of(pixels, cells)
        for name, way in ways.items():
            if number >= rounds and name not in ("exact", "all", *SAMPLED):
                continue
            began = time.process_time()
            with torch.inference_mode():
                labels[name].append(way(block))
            times[name].append((time.process_time() - began) / block.accepted.size)
    peaks = peaks_mb(pixels, run, list(ways), tiles)
    found = {}
    for name in ways:
        mine = np.concatenate(labels[name])
        of = outside[: len(mine)]
        mine, wanted = mine[of], np.concatenate(labels["exact"])[: len(mine)][of]
        per_class = {
            int(k) + 1: round(float((mine == wanted)[wanted == k].mean()), 4)
            for k in np.unique(wanted)
            if (wanted == k).sum() >= 100
        }
        more = sampling / LARGE if name in SAMPLED else 0.0
        found[name] = {
            "ms_a_cell": 1000 * (median(times[name]) + more),
            "ratio": median(e / (t + more) for e, t in zip(times["exact"], times[name], strict=False)),
            "peak_mb": peaks[name],
            "cells": mine.size,
            "agreement": float((mine == wanted).mean()),
            "by_class": per_class,
            "oa": None if truth is None else float((mine == truth[: len(of)][of]).mean()),
        }
    return {
        "cells": rows * columns,
        "alone": correction.alone,
        "expected_agreement": correction.agreement,
        "sample_s": sampling,
        "ways": found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="+", help="folders of trained runs")
    parser.add_argument("--npz", type=Path, help="file with `scene`, in place of a made city")
    parser.add_argument("--city", type=int, default=30, help="number of the made city")
    parser.add_argument("--scene-px", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3, help="blocks on which the simpler ways take part")
    parser.add_argument("--tiles", type=int, default=TILES, help="of the sample")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peak", nargs=2, metavar=("SCENE.npy", "WAY"), help="print the peak memory of one way alone")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.peak:
        show_peak(Path(options.peak[0]), options.run[0], options.peak[1], options.tiles)
        return
    if options.npz:
        pixels, truth = np.load(options.npz)["scene"].astype(np.float32) / 10_000, None
    else:
        city = make_city(city_seed(0, options.city), options.scene_px)
        pixels = (np.rint(city.reflectance * 10_000) / 10_000).astype(np.float32)
        rows = (options.scene_px - WINDOW) // STEP + 1
        truth = city.lcz[WINDOW // 2 :: STEP, WINDOW // 2 :: STEP][:rows, :rows].astype(np.int64) - 1
    results = {}
    for run in options.run:
        result = results[run.name] = measured(pixels, truth, run, options.rounds, options.tiles)
        print(
            f"{run.name}: {result['cells']} cells; {100 * result['alone']:.1f} % of the sample to be judged alone, "
            f"{100 * result['expected_agreement']:.1f} % expected to agree; sample {result['sample_s']:.1f} s"
        )
        print("| way | ms a cell | times as fast | peak MB | cells | agreement % | least of a class % | OA % |")
        print("|---|---|---|---|---|---|---|---|")
        for name, way in result["ways"].items():
            least = min(way["by_class"].values(), default=float("nan"))
            oa = "" if way["oa"] is None else f"{100 * way['oa']:.1f}"
            print(
                f"| {name} | {way['ms_a_cell']:.3f} | {way['ratio']:.2f} | {way['peak_mb']:.0f} | "
                f"{way['cells']} | {100 * way['agreement']:.1f} | {100 * least:.1f} | {oa} |",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
