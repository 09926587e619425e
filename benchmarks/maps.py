"""Whole maps by each engine, from the start of the command to the last file.

    compactnas export RUN -o EXPORT
    python benchmarks/maps.py EXPORT [EXPORT ...] --json maps.json

Each map is a process of its own, `compactnas map EXPORT SCENE -o DIR --engine ENGINE`. The engines take turns,
`--rounds` times; those that are not installed are left out. A ratio is the time of onnxruntime, which `--engine auto`
takes, over that of the engine: its median over the turns, and the smallest and largest stand beside it. `CPU s` is the
processor time of the process, which other work on the machine disturbs less; `without start and files` is the ratio of
CPU times without the time of a map of 48 x 48 cells. Peak memory is the process's own. Agreement is with the classes
of onnxruntime; by class, for those with 100 cells or more.

The scene is a made city of `--city-px`, mirrored at its edges until it has the size.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

PACKAGES = {"onnx": "onnxruntime", "int8": "onnxruntime", "openvino": "openvino", "torch": "torch"}
"""Engine -> package that it needs."""
FIRST = "onnx"
"""Engine that the others are compared with."""
SMALL_PX = 480


def make_scenes(folder: Path, sizes: Sequence[int], city_px: int) -> dict[int, Path]:
    """Write a scene of each size."""
    import rasterio

    from compactnas.synthetic.scene import make_city
    from compactnas.synthetic.write import city_seed, write_scene

    city = make_city(city_seed(0, 30), city_px)
    write_scene(city, folder / "city")
    scenes = {}
    with rasterio.open(folder / "city" / f"{city.name}.tif") as source:
        pixels, profile = source.read(), source.profile
        for size in sizes:
            at = np.abs((np.arange(size) + city_px - 1) % (2 * city_px - 2) - (city_px - 1))
            scenes[size] = folder / f"scene_{size}.tif"
            tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256, "interleave": "pixel"}
            with rasterio.open(scenes[size], "w", **profile | {"width": size, "height": size} | tiles) as file:
                file.write(pixels[:, at[:, None], at])
                file.descriptions, file.scales = source.descriptions, source.scales
    return scenes


def run(model: Path, scene: Path, out: Path, engine: str, threads: int) -> dict[str, float]:
    """Make one map in a process of its own; return its wall time, processor time and peak memory."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "compactnas", "map", model, scene, "-o", out, "--name", "map"]
    command += ["--engine", engine, "--threads", threads]
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(list(map(str, command)), stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(said.read().decode()[-2000:])
    wall = time.monotonic() - began
    return {"wall_s": wall, "cpu_s": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}


def classes(out: Path) -> np.ndarray:
    """Classes of a map."""
    import rasterio

    with rasterio.open(next(out.glob("map_[lc]*s.tif"), out / "map_lcz.tif")) as raster:
        found: np.ndarray = raster.read(1)
    return found


def measured(
    model: Path, scene: Path, folder: Path, engines: Sequence[str], options: argparse.Namespace, start_s: float
) -> dict[str, Any]:
    """All engines on one scene."""
    runs: dict[str, list[dict[str, float]]] = {engine: [] for engine in engines}
    for _ in range(options.rounds):
        for engine in engines:
            runs[engine].append(run(model, scene, folder / engine, engine, options.threads))
    wanted, found = classes(folder / FIRST), {}
    for engine in engines:
        mine, pairs = classes(folder / engine), list(zip(runs[FIRST], runs[engine], strict=True))
        ratios = [a["wall_s"] / b["wall_s"] for a, b in pairs]
        cpu = [a["cpu_s"] / b["cpu_s"] for a, b in pairs]
        bare = [(a["cpu_s"] - start_s) / (b["cpu_s"] - start_s) for a, b in pairs]
        found[engine] = {
            **{name: median(one[name] for one in runs[engine]) for name in ("wall_s", "cpu_s", "peak_mb")},
            **{name: [median(of), min(of), max(of)] for name, of in (("wall", ratios), ("cpu", cpu), ("bare", bare))},
            "agreement": float((mine == wanted).mean()),
            "by_class": {
                int(k): round(float((mine == wanted)[wanted == k].mean()), 4)
                for k in np.unique(wanted)
                if k and (wanted == k).sum() >= 100
            },
        }
    return {"cells": int(wanted.size), "engines": found}


def show(name: str, size: int, result: dict[str, Any]) -> None:
    """Print the lines of one scene."""
    for engine, of in result["engines"].items():
        least = min(of["by_class"].values(), default=float("nan"))
        ratios = " | ".join("{:.2f} ({:.2f}-{:.2f})".format(*of[kind]) for kind in ("wall", "cpu", "bare"))
        print(
            f"| {name} | {size} | {engine} | {of['wall_s']:.1f} | {of['cpu_s']:.1f} | {ratios} | {of['peak_mb']:.0f} | "
            f"{100 * of['agreement']:.1f} | {100 * least:.1f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path, nargs="+", help="folders of exports")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1200, 3000, 6000], help="sides of the scenes in pixels"
    )
    parser.add_argument("--city-px", type=int, default=600, help="side of the made city that is repeated")
    parser.add_argument("--engines", nargs="+", choices=PACKAGES, default=list(PACKAGES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--scenes", type=Path, help="folder for the scenes, which are kept; by default they are not")
    options = parser.parse_args()
    engines = [name for name in PACKAGES if name == FIRST or (name in options.engines and find_spec(PACKAGES[name]))]
    results = {}
    with tempfile.TemporaryDirectory(prefix="compactnas-maps-") as temporary:
        folder = options.scenes or Path(temporary)
        sizes = [SMALL_PX, *options.sizes]
        scenes = {size: folder / f"scene_{size}.tif" for size in sizes}
        if not all(scene.exists() for scene in scenes.values()):
            # A process counts the memory of the one that started it, so that one must stay small.
            with ProcessPoolExecutor(1, get_context("spawn")) as apart:
                scenes = apart.submit(make_scenes, folder, sizes, options.city_px).result()
        print(
            "| network | px | engine | wall s | CPU s | wall | CPU | without start and files | MB | agree % | least % |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|---|")
        for export in options.export:
            start = [
                run(export, scenes[SMALL_PX], Path(temporary) / "start", FIRST, threads=1)["cpu_s"]
                for _ in range(options.rounds)
            ]
            for size in options.sizes:
                result = measured(export, scenes[size], Path(temporary), engines, options, median(start))
                results[f"{export.name} {size}"] = {"start_cpu_s": median(start), **result}
                show(export.name, size, result)
                if options.json:
                    options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
