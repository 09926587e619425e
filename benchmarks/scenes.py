"""Peak memory and time of `compactnas scene` on a large place.

    python benchmarks/scenes.py --json scenes.json

A made city of 3000 x 3000 px (30 x 30 km) on three days, in ten bands and with clouds, is served by the tests' STAC
API on 127.0.0.1. The scene is made by one process of its own: the peak memory is that process's (VmHWM), with Python
and all libraries in it. The server and the files belong to the process of this script.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.stac_items import BANDS, KINDS, City, bounds_of, city, write_item
from support.stac_server import Catalogue, served

MADE = """
import sys
from pathlib import Path
from compactnas.cli import main
code = main(sys.argv[1:])
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0], file=sys.stderr)
sys.exit(code)
"""
TILE = 300


def large_city(day: int, side: int) -> City:
    """Repeat a small made city to a side in pixels, with clouds in other places each day."""
    clouds = tuple((17 * day + 31 * place % 90, 41 * place % 120, 12 + 5 * day) for place in range(4))
    small, times = city(day, TILE, clouds), side // TILE
    return City(np.tile(small.reflectance, (1, times, times)), np.tile(small.classes, (times, times)))


def measure(side: int, days: int, threads: int, folder: Path) -> dict[str, float]:
    """Make a scene of the inner part of a tile; return peak memory, seconds and sizes."""
    with served(Catalogue(folder / "files")) as catalogue:
        for day in range(days):
            kind, name = KINDS["earth search 1"], f"2024-06-{10 + day}"
            catalogue.items.append(
                write_item(catalogue.folder, kind, large_city(day, side), name, catalogue.url, block=512)
            )
        box = ",".join(map(str, bounds_of(150, 150, 10.0 * side - 150, 10.0 * side - 150)))
        words = ["scene", box, "--dates", "2024", "--catalogue", catalogue.url, "--threads", str(threads)]
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", MADE, *words, "--json", "-o", str(folder / "scene.tif")],
            capture_output=True,
            text=True,
            env=os.environ,
            check=False,
        )
        seconds = time.monotonic() - began
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    width, height = json.loads(done.stdout)["size"]
    peak_mb = int(done.stderr.split()[-1]) / 1024
    return {
        "width": width,
        "height": height,
        "bands": len(BANDS),
        "days": days,
        "threads": threads,
        "peak_mb": round(peak_mb, 1),
        "seconds": round(seconds, 1),
        "file_mb": round((folder / "scene.tif").stat().st_size / 2**20, 1),
    }


def main() -> int:
    """Measure, print, and fail if the peak is 1.5 GB or more."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=3000, help="Side of the place in pixels, a multiple of 300.")
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="compactnas-scenes-") as folder:
        found = measure(options.side, options.days, options.threads, Path(folder))
    print("  ".join(f"{name} {value:g}" for name, value in found.items()))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return int(found["peak_mb"] >= 1500)


if __name__ == "__main__":
    sys.exit(main())
